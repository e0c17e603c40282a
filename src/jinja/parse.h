/* What the two halves of the parser share: tokens, nodes, names. */
#ifndef TUFF_JINJA_PARSE_H
#define TUFF_JINJA_PARSE_H

#include "jinja/jinja.h"
#include "jinja/node.h"

typedef struct tuff_jinja_parser {
    tuff_jinja_template *template;
    const tuff_jinja_token *token; /* the next one */
    tuff_status status;
    unsigned depth;
    unsigned loops;         /* around what is parsed, in the same block */
    tuff_jinja_node *macro; /* around it; NULL: none */
} tuff_jinja_parser;

/* NULL, with a sentence behind "line 12: ". */
tuff_jinja_node *tuff_jinja_parse_fail(tuff_jinja_parser *p, const char *format, ...) TUFF_PRINTF(2, 3);
/* The same, saying what is there instead. */
tuff_jinja_node *tuff_jinja_parse_expected(tuff_jinja_parser *p, const char *what);
/* A node of the line of the next token; NULL: no memory. */
tuff_jinja_node *tuff_jinja_parse_node(tuff_jinja_parser *p, tuff_jinja_node_kind kind);
/* The number of a name. */
bool tuff_jinja_parse_symbol(tuff_jinja_parser *p, tuff_view name, uint32_t *out);

bool tuff_jinja_at_name(const tuff_jinja_parser *p, const char *name);
bool tuff_jinja_at_operator(const tuff_jinja_parser *p, const char *operator);
/* Passes over it if it is next. */
bool tuff_jinja_skip_name(tuff_jinja_parser *p, const char *name);
bool tuff_jinja_skip_operator(tuff_jinja_parser *p, const char *operator);
bool tuff_jinja_expect_operator(tuff_jinja_parser *p, const char *operator);
/* Any name; false: it fails. */
bool tuff_jinja_expect_name(tuff_jinja_parser *p, tuff_view *out);

enum { TUFF_JINJA_WITH_CHOICE = 1, TUFF_JINJA_EMPTY_TOO = 2 };
/* An expression, or several by commas as a tuple; `end` is a name that ends it, or NULL. Without
 * TUFF_JINJA_WITH_CHOICE an `if` is not part of it. */
tuff_jinja_node *tuff_jinja_parse_tuple(tuff_jinja_parser *p, unsigned flags, const char *end);
tuff_jinja_node *tuff_jinja_parse_expression(tuff_jinja_parser *p);
/* What can be assigned to: a name, a tuple of such, or, of `set`, a member of a namespace. */
tuff_jinja_node *tuff_jinja_parse_target(tuff_jinja_parser *p, bool members);
/* A literal, a name, a list and such; `members`: also "ns.x", to be assigned to. */
tuff_jinja_node *tuff_jinja_parse_primary(tuff_jinja_parser *p, bool members);
/* The same with its sign, members, calls and, but for what a sign is of, filters and tests. */
tuff_jinja_node *tuff_jinja_parse_operand(tuff_jinja_parser *p, bool filters);
/* Counts nested expressions; `depth` is taken back by the caller. */
bool tuff_jinja_parse_deeper(tuff_jinja_parser *p);
/* "| trim | upper", without what they are applied to; `inline`: without the first "|". */
tuff_jinja_node *tuff_jinja_parse_filters(tuff_jinja_parser *p, tuff_jinja_node *of, bool inline_first);
/* "(a, b=1)" of a macro: PARAMETERs. */
bool tuff_jinja_parse_parameters(tuff_jinja_parser *p, tuff_jinja_node **out);

#endif
