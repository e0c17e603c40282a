/* A template as a tree, and the tokens that it is made from. */
#ifndef TUFF_JINJA_NODE_H
#define TUFF_JINJA_NODE_H

#include <tuff/status.h>

#include "base/memory.h"
#include "base/text.h"
#include "jinja/value.h"

typedef enum tuff_jinja_token_kind {
    TUFF_JINJA_TOKEN_END, /* of the template */
    TUFF_JINJA_TOKEN_DATA,
    TUFF_JINJA_TOKEN_PRINT, /* {{ */
    TUFF_JINJA_TOKEN_PRINT_END,
    TUFF_JINJA_TOKEN_BLOCK, /* {% */
    TUFF_JINJA_TOKEN_BLOCK_END,
    TUFF_JINJA_TOKEN_NAME,
    TUFF_JINJA_TOKEN_TEXT,
    TUFF_JINJA_TOKEN_NUMBER,
    TUFF_JINJA_TOKEN_OPERATOR
} tuff_jinja_token_kind;

typedef struct tuff_jinja_token {
    tuff_jinja_token_kind kind;
    uint32_t line;
    tuff_view text;         /* as it is in the template: a name, an operator, data */
    tuff_jinja_value value; /* of texts and numbers */
} tuff_jinja_token;

/* The tokens of a template; all that they point to lives in the arena, or in the text. */
typedef struct tuff_jinja_tokens {
    tuff_jinja_token *items;
    size_t count, capacity;
} tuff_jinja_tokens;
/* `text` has no line ends but \n; it must stay. Free items with tuff_free, also after a failure. */
TUFF_MUST_USE tuff_status tuff_jinja_lex(tuff_view text, tuff_arena *arena, tuff_jinja_tokens *out);
bool tuff_jinja_space(uint32_t point); /* Python's str.isspace */

typedef enum tuff_jinja_op {
    TUFF_JINJA_OP_NONE,
    TUFF_JINJA_ADD,
    TUFF_JINJA_SUB,
    TUFF_JINJA_MUL,
    TUFF_JINJA_DIV,
    TUFF_JINJA_FLOORDIV,
    TUFF_JINJA_MOD,
    TUFF_JINJA_POW,
    TUFF_JINJA_EQ,
    TUFF_JINJA_NE,
    TUFF_JINJA_LT,
    TUFF_JINJA_LE,
    TUFF_JINJA_GT,
    TUFF_JINJA_GE,
    TUFF_JINJA_IN,
    TUFF_JINJA_NOT_IN
} tuff_jinja_op;

typedef enum tuff_jinja_node_kind {
    /* expressions */
    TUFF_JINJA_CONST,     /* value */
    TUFF_JINJA_NAME,      /* name */
    TUFF_JINJA_LIST_OF,   /* a: items by next */
    TUFF_JINJA_TUPLE_OF,  /* a */
    TUFF_JINJA_DICT_OF,   /* a: key, value, key, value ... by next */
    TUFF_JINJA_ATTRIBUTE, /* a . text */
    TUFF_JINJA_ITEM,      /* a [ b ] */
    TUFF_JINJA_SLICE,     /* a [ b : c : d ], each may be NULL */
    TUFF_JINJA_CALL,      /* a ( b: arguments ) */
    TUFF_JINJA_FILTER,    /* a | text ( b ); a NULL: of a block */
    TUFF_JINJA_TEST,      /* a is text ( b ) */
    TUFF_JINJA_ARGUMENT,  /* a; name where it has one; stars: 1 *a, 2 **a */
    TUFF_JINJA_NOT,       /* not a */
    TUFF_JINJA_SIGN,      /* - a where op is SUB, + a */
    TUFF_JINJA_BINARY,    /* a op b */
    TUFF_JINJA_COMPARE,   /* a, then operands by next in b, each with its op */
    TUFF_JINJA_OPERAND,   /* a */
    TUFF_JINJA_AND,       /* a and b */
    TUFF_JINJA_OR,
    TUFF_JINJA_CONCAT,    /* a: texts by next */
    TUFF_JINJA_CHOOSE,    /* b if a else c, which may be NULL */
    TUFF_JINJA_MEMBER_OF, /* target only: namespace `name` . text */
    /* statements */
    TUFF_JINJA_DATA,       /* value */
    TUFF_JINJA_PRINT,      /* a */
    TUFF_JINJA_SET,        /* a = b */
    TUFF_JINJA_SET_BLOCK,  /* a = what c prints, through the filters b */
    TUFF_JINJA_IF,         /* if a: b, else: c; stars 1: an elif */
    TUFF_JINJA_FOR,        /* for a in b if d: c, else: e; stars 1: recursive */
    TUFF_JINJA_WITH,       /* a: SETs, then c */
    TUFF_JINJA_MACRO_OF,   /* macro name(a: PARAMETERs): c */
    TUFF_JINJA_PARAMETER,  /* name, default a or NULL */
    TUFF_JINJA_CALL_BLOCK, /* call(a: PARAMETERs) b: c */
    TUFF_JINJA_FILTER_OF,  /* filters b of what c prints */
    TUFF_JINJA_GENERATION, /* c */
    TUFF_JINJA_STATEMENTS, /* c: a scope of its own */
    TUFF_JINJA_BREAK_LOOP,
    TUFF_JINJA_NEXT_TURN
} tuff_jinja_node_kind;

typedef struct tuff_jinja_node tuff_jinja_node;
struct tuff_jinja_node {
    uint8_t kind, op, stars;
    bool uses_varargs, uses_kwargs, uses_caller; /* macros: names that their bodies have */
    uint32_t line;
    uint32_t name; /* a symbol; UINT32_MAX: none */
    tuff_view text;
    tuff_jinja_value value;
    tuff_jinja_node *a, *b, *c, *d, *e, *next;
};

enum { TUFF_JINJA_NO_NAME = UINT32_MAX, TUFF_JINJA_NESTING = 100 };

/* What parsing makes. */
struct tuff_jinja_template {
    tuff_arena arena;
    char *text;
    tuff_jinja_node *body;
    tuff_map symbols; /* names to their numbers */
    tuff_view *names; /* and back */
    size_t name_count, name_capacity;
    uint32_t loop, caller, varargs, kwargs; /* symbols of names that are set by themselves */
    bool marks;
};

#endif
