/* Options of a verb: one table gives the parsing, the checks and the help. */
#ifndef TUFF_CLI_ARGS_H
#define TUFF_CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef enum tuff_arg_kind {
    TUFF_ARG_GROUP,    /* no option: a heading of the help */
    TUFF_ARG_FLAG,     /* bool */
    TUFF_ARG_INT,      /* int64_t within low..high */
    TUFF_ARG_REAL,     /* double within low..high */
    TUFF_ARG_TEXT,     /* const char * */
    TUFF_ARG_NAMES,    /* the same: names between commas, which a file of settings may have as a list */
    TUFF_ARG_SETTINGS, /* the same: settings in one text, which such a file may have as an object */
    TUFF_ARG_CONFIG,   /* the same: the path of such a file */
    TUFF_ARG_LIST,     /* tuff_arg_list: may be given again */
    TUFF_ARG_CHOICE,   /* int, the index into `value`, words separated by '|' */
    TUFF_ARG_OPTIONAL, /* tuff_arg_optional: a flag that may carry a text */
    TUFF_ARG_POSITION  /* const char *: an argument without a name, required */
} tuff_arg_kind;

enum { TUFF_ARG_LIST_MAX = 64, TUFF_ARGS_MAX = 256 /* rows of a verb */ };
typedef struct tuff_arg_list {
    const char *items[TUFF_ARG_LIST_MAX];
    size_t count;
} tuff_arg_list;

typedef struct tuff_arg_optional {
    bool given;
    const char *value; /* NULL: given without one */
} tuff_arg_optional;

/* What a command does with the file or directory that a row names, which its `value` tells: FILE, PATH, DIR,
 * MODEL. */
typedef enum tuff_arg_use {
    TUFF_USE_READ,
    TUFF_USE_WRITTEN,  /* what is there may be replaced */
    TUFF_USE_ADDED_TO, /* a directory that gets new files beside those it has */
    TUFF_USE_GONE_ON   /* read, and what is written may be in its place: a run goes on from it */
} tuff_arg_use;

typedef struct tuff_arg {
    tuff_arg_kind kind;
    const char *name;  /* without "--", or the text of a heading */
    const char *value; /* how the help calls its value: "N", "FILE"; the words of a choice */
    size_t offset;     /* in the verb's struct */
    double low, high;
    const char *help;
    const char *preset; /* the help's words for the default; NULL: the struct's number, nothing for texts */
    bool required;
    bool momentary; /* of one run: it is not written into a file of settings */
    tuff_arg_use use;
} tuff_arg;

typedef struct tuff_args {
    const char *verb;
    const char *usage; /* "--model M --prompt TEXT [options]" */
    const char *about; /* a paragraph */
    const tuff_arg *items;
    size_t count;
    const char
        *stray; /* how to give what stands without a name, most likely: "the prompt as --prompt TEXT" */
    const char *notes;    /* after the options, its lines broken where the terminal ends; NULL: none */
    const char *examples; /* commands, a line each, at the end of the help */
} tuff_args;

typedef enum tuff_args_outcome { TUFF_ARGS_RUN, TUFF_ARGS_HELP, TUFF_ARGS_WRONG } tuff_args_outcome;

/* Fills the verb's struct, which holds the defaults, from argv[1..argc). HELP: --help was asked for and
 * printed to stdout. WRONG: one sentence went to stderr. `_` in an option's name counts as `-`; Hugging
 * Face's names are taken where they mean the same (aliases.def). An option that takes one value may be given
 * once. "-" for a file that is read is standard input. A row of kind CONFIG names a file of settings: options
 * that are given come before those in it. What was read from it stays in memory as long as the process. */
tuff_args_outcome tuff_args_parse(const tuff_args *args, int argc, char **argv, void *options);

/* The value that argv[1..argc) has for an option, before it is parsed; NULL: none. */
const char *tuff_args_ahead(const tuff_args *args, int argc, char **argv, const char *name);

/* Writes options as a file of settings: those that have a value, but momentary ones. */
void tuff_args_write(const tuff_args *args, const void *options, FILE *out);

/* Prints the help of a verb, defaults taken from `options`. */
void tuff_args_help(const tuff_args *args, const void *options);

/* An option's value as text; false: it is a heading, or has none. */
bool tuff_args_value(const tuff_arg *arg, const void *options, char *out, size_t size);
/* Whether an option is another in two of a verb's structs. */
bool tuff_args_differ(const tuff_arg *arg, const void *a, const void *b);

/* Lines of text, none wider than the terminal, as far as their words allow. */
void tuff_cli_paragraphs(FILE *out, const char *text);

/* The nearest of `count` names by edits, or NULL when none is near. */
const char *tuff_args_nearest(const char *name, size_t count, const char *(*get)(const void *user, size_t i),
                              const void *user);

/* What to do instead of an option that other programs have and no verb of Tuff: the end of a sentence. NULL:
 * unknown. */
const char *tuff_args_hint(const char *name);

/* ---- files of settings: a JSON object, a name for each option */

typedef enum tuff_config_kind {
    TUFF_CONFIG_NULL,
    TUFF_CONFIG_FALSE,
    TUFF_CONFIG_TRUE,
    TUFF_CONFIG_NUMBER,
    TUFF_CONFIG_TEXT,
    TUFF_CONFIG_OBJECT,
    TUFF_CONFIG_LIST
} tuff_config_kind;

typedef struct tuff_config_item {
    tuff_config_kind kind;
    const char *name; /* NULL: an item of the list before it */
    char *text;       /* a text; numbers and objects as they are written; else NULL */
    int line;         /* of the file, from 1 */
} tuff_config_item;

/* Reads such a file; the items live as long as the process. False: a sentence was said. */
bool tuff_config_read(const char *path, const tuff_config_item **out_items, size_t *out_count);
/* The texts of a list's items as one, with commas between; in the place of the first, as long as they. */
const char *tuff_config_join(const tuff_config_item *items, size_t count);

#endif
