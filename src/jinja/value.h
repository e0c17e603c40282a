/* What templates compute with: Python's values. They live in the arena of a run and are never freed alone. */
#ifndef TUFF_JINJA_VALUE_H
#define TUFF_JINJA_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

typedef enum tuff_jinja_kind {
    TUFF_JINJA_MISSING,   /* no value at all: an argument that was not given */
    TUFF_JINJA_UNDEFINED, /* of a name that nothing has */
    TUFF_JINJA_NONE,
    TUFF_JINJA_BOOL,
    TUFF_JINJA_INT,
    TUFF_JINJA_FLOAT,
    TUFF_JINJA_TEXT,
    TUFF_JINJA_LIST,
    TUFF_JINJA_TUPLE,
    TUFF_JINJA_RANGE,
    TUFF_JINJA_KEYS, /* of a dict: what keys(), values() and items() give */
    TUFF_JINJA_VALUES,
    TUFF_JINJA_ITEMS,
    TUFF_JINJA_ITERATOR, /* read once */
    TUFF_JINJA_DICT,
    TUFF_JINJA_NAMESPACE,
    TUFF_JINJA_MACRO,
    TUFF_JINJA_FUNCTION,
    TUFF_JINJA_METHOD,
    TUFF_JINJA_LOOP
} tuff_jinja_kind;

typedef struct tuff_jinja_run tuff_jinja_run;
typedef struct tuff_jinja_value tuff_jinja_value;

/* Items of everything from TUFF_JINJA_LIST to TUFF_JINJA_ITERATOR; nothing changes them once it is made. */
typedef struct tuff_jinja_list {
    tuff_jinja_value *items;
    size_t count, capacity;
    size_t next;               /* of an iterator: the first that was not read */
    const char *function;      /* of an iterator: what made it, for people */
    int64_t start, stop, step; /* of a range */
} tuff_jinja_list;

/* Pairs in the order in which they came. */
typedef struct tuff_jinja_dict {
    tuff_jinja_value *pairs; /* key, value, key, value ... */
    size_t count, capacity;
    uint32_t *index; /* places of pairs by hash, + 1; NULL while they are few */
    size_t index_size;
} tuff_jinja_dict;

typedef struct tuff_jinja_macro tuff_jinja_macro;
typedef struct tuff_jinja_loop tuff_jinja_loop;
typedef struct tuff_jinja_method tuff_jinja_method;

struct tuff_jinja_value {
    uint8_t kind;
    bool safe;         /* text: Markup, which escapes what is added to it */
    uint8_t of;        /* undefined: the kind of value that has no such member; 0: it is a variable */
    uint8_t forbidden; /* undefined: there is one, but not for templates */
    uint32_t size;     /* bytes of text */
    union {
        bool truth;
        int64_t integer;
        double real;
        const char *text; /* UTF-8, not NUL-terminated; of an undefined one its name */
        tuff_jinja_list *list;
        tuff_jinja_dict *dict;
        tuff_jinja_macro *macro;
        tuff_jinja_method *method;
        tuff_jinja_loop *loop;
        size_t function;
    } as;
};

/* A method and whose it is. */
struct tuff_jinja_method {
    tuff_jinja_value self;
    size_t method;
};

tuff_jinja_value tuff_jinja_none(void);
tuff_jinja_value tuff_jinja_bool(bool truth);
tuff_jinja_value tuff_jinja_int(int64_t integer);
tuff_jinja_value tuff_jinja_float(double real);
/* Text that lives as long as the run; tuff_jinja_text (run.h) copies. */
tuff_jinja_value tuff_jinja_view(tuff_view text);
tuff_jinja_value tuff_jinja_literal(const char *text);
tuff_view tuff_jinja_text_of(const tuff_jinja_value *value);
/* Bool, int or float; bools count as 0 and 1. */
bool tuff_jinja_is_number(const tuff_jinja_value *value);
/* Bool or int, as an int. */
bool tuff_jinja_as_int(const tuff_jinja_value *value, int64_t *out);
double tuff_jinja_as_float(const tuff_jinja_value *value); /* of a number */
/* Whether its items are in as.list. */
bool tuff_jinja_is_list(const tuff_jinja_value *value);
bool tuff_jinja_is_iterable(const tuff_jinja_value *value);
/* What `if` sees. */
bool tuff_jinja_truth(const tuff_jinja_value *value);
/* Python's word for the type: "str", "dict". */
const char *tuff_jinja_type(const tuff_jinja_value *value);

/* ==; deep ones are bounded: look at the run's status. */
bool tuff_jinja_equal(tuff_jinja_run *run, const tuff_jinja_value *a, const tuff_jinja_value *b);
/* Below 0, 0, above 0; false, and the run fails, when Python has no order of them. */
bool tuff_jinja_compare(tuff_jinja_run *run, const tuff_jinja_value *a, const tuff_jinja_value *b, int *out);

/* Lists and dicts while they are made. False: the run failed. */
tuff_jinja_list *tuff_jinja_list_new(tuff_jinja_run *run, size_t capacity);
bool tuff_jinja_list_add(tuff_jinja_run *run, tuff_jinja_list *list, tuff_jinja_value item);
tuff_jinja_value tuff_jinja_list_value(tuff_jinja_kind kind, tuff_jinja_list *list);
bool tuff_jinja_pair(tuff_jinja_run *run, tuff_jinja_value first, tuff_jinja_value second,
                     tuff_jinja_value *out);
tuff_jinja_dict *tuff_jinja_dict_new(tuff_jinja_run *run);
tuff_jinja_value tuff_jinja_dict_value(tuff_jinja_kind kind, tuff_jinja_dict *dict);
/* Fails for keys that have no hash. */
bool tuff_jinja_dict_put(tuff_jinja_run *run, tuff_jinja_dict *dict, tuff_jinja_value key,
                         tuff_jinja_value value);
/* NULL: no such key, or one that no dict can have. */
tuff_jinja_value *tuff_jinja_dict_get(tuff_jinja_run *run, const tuff_jinja_dict *dict,
                                      const tuff_jinja_value *key);
tuff_jinja_value *tuff_jinja_dict_find(tuff_jinja_run *run, const tuff_jinja_dict *dict, const char *key);

/* str(): what {{ }} prints; and repr(), which quotes. Appended. */
bool tuff_jinja_spell(tuff_jinja_run *run, const tuff_jinja_value *value, bool quoted, tuff_buf *out);
/* A double as Python's repr has it. */
void tuff_jinja_spell_real(tuff_buf *out, double value);
/* Digits, points, exponents as strtod has them, '_' passed over; false for what is none. */
bool tuff_jinja_read_real(tuff_view text, double *out);

#endif
