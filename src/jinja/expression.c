/* Expressions, by Jinja's own precedence: or, and, not, comparisons, + -, ~, * / // %, **, signs, members,
 * filters and tests. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "jinja/parse.h"

/* A bracket takes three. */
enum { DEEPEST = 200 };

static bool at_end(const tuff_jinja_parser *p, const char *end)
{
    return p->token->kind == TUFF_JINJA_TOKEN_PRINT_END || p->token->kind == TUFF_JINJA_TOKEN_BLOCK_END ||
           tuff_jinja_at_operator(p, ")") || (end && tuff_jinja_at_name(p, end));
}

/* Nested expressions; `depth` is taken back by the caller. */
static bool deeper(tuff_jinja_parser *p)
{
    if (++p->depth <= DEEPEST) return true;
    tuff_jinja_parse_fail(p, "an expression is nested too deep");
    return false;
}

/* Expressions by commas up to `close`: "[1, 2,]"; pairs: "{a: b}". */
static bool listed(tuff_jinja_parser *p, const char *close, bool pairs, tuff_jinja_node **tail)
{
    while (!tuff_jinja_skip_operator(p, close)) {
        for (int half = 0; half < 1 + pairs; half++) {
            tuff_jinja_node *one = tuff_jinja_parse_expression(p);
            if (!one) return false;
            *tail = one;
            tail = &one->next;
            if (pairs && half == 0 && !tuff_jinja_expect_operator(p, ":")) return false;
        }
        if (!tuff_jinja_at_operator(p, close) && !tuff_jinja_expect_operator(p, ",")) return false;
    }
    return true;
}

static tuff_jinja_node *word(tuff_jinja_parser *p, bool members)
{
    static const char *const names[] = {"true", "True", "false", "False", "none", "None"};
    tuff_jinja_node *node = tuff_jinja_parse_node(p, TUFF_JINJA_NAME);
    tuff_view name;
    if (!node || !tuff_jinja_expect_name(p, &name)) return NULL;
    for (size_t i = 0; i < 6; i++) {
        if (!tuff_view_is(name, names[i])) continue;
        node->kind = TUFF_JINJA_CONST;
        node->value = i < 4 ? tuff_jinja_bool(i < 2) : tuff_jinja_none();
        return node;
    }
    if (!tuff_jinja_parse_symbol(p, name, &node->name)) return NULL;
    if (p->macro) {
        p->macro->uses_varargs |= tuff_view_is(name, "varargs");
        p->macro->uses_kwargs |= tuff_view_is(name, "kwargs");
        p->macro->uses_caller |= tuff_view_is(name, "caller");
    }
    if (members && tuff_jinja_skip_operator(p, ".")) {
        node->kind = TUFF_JINJA_MEMBER_OF;
        if (!tuff_jinja_expect_name(p, &node->text)) return NULL;
    }
    return node;
}

/* "a" "b" is "ab". */
static tuff_jinja_node *texts(tuff_jinja_parser *p)
{
    tuff_jinja_node *node = tuff_jinja_parse_node(p, TUFF_JINJA_CONST);
    if (!node) return NULL;
    node->value = p->token->value;
    for (p->token++; p->token->kind == TUFF_JINJA_TOKEN_TEXT; p->token++) {
        const tuff_jinja_value a = node->value, b = p->token->value;
        char *both = tuff_arena_alloc(&p->template->arena, (size_t)a.size + b.size + 1);
        if (!both) {
            p->status = tuff_fail_memory("a template");
            return NULL;
        }
        memcpy(both, a.as.text, a.size);
        memcpy(both + a.size, b.as.text, b.size);
        node->value = tuff_jinja_view((tuff_view){both, (size_t)a.size + b.size});
    }
    return node;
}

static tuff_jinja_node *primary(tuff_jinja_parser *p, bool members)
{
    tuff_jinja_node *node;
    if (p->token->kind == TUFF_JINJA_TOKEN_NAME) return word(p, members);
    if (p->token->kind == TUFF_JINJA_TOKEN_TEXT) return texts(p);
    if (p->token->kind == TUFF_JINJA_TOKEN_NUMBER) {
        node = tuff_jinja_parse_node(p, TUFF_JINJA_CONST);
        if (node) node->value = p->token->value;
        p->token++;
        return node;
    }
    if (tuff_jinja_skip_operator(p, "(")) {
        node = tuff_jinja_parse_tuple(p, TUFF_JINJA_WITH_CHOICE | TUFF_JINJA_EMPTY_TOO, NULL);
        return node && tuff_jinja_expect_operator(p, ")") ? node : NULL;
    }
    const bool dict = tuff_jinja_at_operator(p, "{");
    if (!dict && !tuff_jinja_at_operator(p, "[")) return tuff_jinja_parse_expected(p, "an expression");
    node = tuff_jinja_parse_node(p, dict ? TUFF_JINJA_DICT_OF : TUFF_JINJA_LIST_OF);
    p->token++;
    return node && listed(p, dict ? "}" : "]", dict, &node->a) ? node : NULL;
}

/* "(1, *rest, key=2, **more)". */
static bool arguments(tuff_jinja_parser *p, tuff_jinja_node **tail)
{
    unsigned seen = 0; /* 1: a name, 2: *, 4: ** */
    if (!tuff_jinja_expect_operator(p, "(")) return false;
    while (!tuff_jinja_skip_operator(p, ")")) {
        tuff_jinja_node *one = tuff_jinja_parse_node(p, TUFF_JINJA_ARGUMENT);
        if (!one) return false;
        if (tuff_jinja_skip_operator(p, "*")) {
            one->stars = 1;
        } else if (tuff_jinja_skip_operator(p, "**")) {
            one->stars = 2;
        } else if (p->token->kind == TUFF_JINJA_TOKEN_NAME && p->token[1].kind == TUFF_JINJA_TOKEN_OPERATOR &&
                   tuff_view_is(p->token[1].text, "=")) {
            if (!tuff_jinja_parse_symbol(p, p->token->text, &one->name)) return false;
            p->token += 2;
        }
        const bool named = one->name != TUFF_JINJA_NO_NAME;
        if ((seen & 4) || (one->stars == 1 && (seen & 2)) || (!one->stars && !named && seen)) {
            tuff_jinja_parse_fail(p, "the arguments of a call are in an order that there is not");
            return false;
        }
        seen |= one->stars ? 2u * one->stars : named;
        one->a = tuff_jinja_parse_expression(p);
        if (!one->a) return false;
        *tail = one;
        tail = &one->next;
        if (!tuff_jinja_at_operator(p, ")") && !tuff_jinja_expect_operator(p, ",")) return false;
    }
    return true;
}

/* What stands in brackets: a key, or a slice "1:-1:2", of which each part may be left out. */
static tuff_jinja_node *subscript(tuff_jinja_parser *p, tuff_jinja_node *of)
{
    tuff_jinja_node *node = tuff_jinja_parse_node(p, TUFF_JINJA_ITEM);
    if (!node) return NULL;
    tuff_jinja_node **const parts[] = {&node->b, &node->c, &node->d};
    node->a = of;
    for (size_t i = 0; i < 3; i++) {
        if (!tuff_jinja_at_operator(p, ":") && !tuff_jinja_at_operator(p, "]")) {
            *parts[i] = tuff_jinja_parse_expression(p);
            if (!*parts[i]) return NULL;
        }
        if (i == 2 || !tuff_jinja_skip_operator(p, ":")) break;
        node->kind = TUFF_JINJA_SLICE;
    }
    if (node->kind == TUFF_JINJA_ITEM && !node->b) return tuff_jinja_parse_expected(p, "a key");
    return tuff_jinja_expect_operator(p, "]") ? node : NULL;
}

static tuff_jinja_node *member(tuff_jinja_parser *p, tuff_jinja_node *of)
{
    tuff_jinja_node *node = tuff_jinja_parse_node(p, TUFF_JINJA_ATTRIBUTE);
    if (!node) return NULL;
    node->a = of;
    if (p->token->kind == TUFF_JINJA_TOKEN_NUMBER && p->token->value.kind == TUFF_JINJA_INT) {
        node->kind = TUFF_JINJA_ITEM;
        node->b = primary(p, false);
        return node->b ? node : NULL;
    }
    return tuff_jinja_expect_name(p, &node->text) ? node : NULL;
}

static tuff_jinja_node *call(tuff_jinja_parser *p, tuff_jinja_node *of)
{
    tuff_jinja_node *node = tuff_jinja_parse_node(p, TUFF_JINJA_CALL);
    if (!node) return NULL;
    node->a = of;
    return arguments(p, &node->b) ? node : NULL;
}

static tuff_jinja_node *postfix(tuff_jinja_parser *p, tuff_jinja_node *node)
{
    while (node) {
        if (tuff_jinja_skip_operator(p, "."))
            node = member(p, node);
        else if (tuff_jinja_skip_operator(p, "["))
            node = subscript(p, node);
        else if (tuff_jinja_at_operator(p, "("))
            node = call(p, node);
        else
            break;
    }
    return node;
}

/* A filter's or a test's name may have points. */
static bool dotted(tuff_jinja_parser *p, tuff_view *out)
{
    if (!tuff_jinja_expect_name(p, out)) return false;
    while (tuff_jinja_skip_operator(p, ".")) {
        tuff_view more;
        if (!tuff_jinja_expect_name(p, &more)) return false;
        out->size = (size_t)(more.data + more.size - out->data);
    }
    return true;
}

tuff_jinja_node *tuff_jinja_parse_filters(tuff_jinja_parser *p, tuff_jinja_node *of, bool inline_first)
{
    while (inline_first || tuff_jinja_skip_operator(p, "|")) {
        tuff_jinja_node *node = tuff_jinja_parse_node(p, TUFF_JINJA_FILTER);
        if (!node || !dotted(p, &node->text)) return NULL;
        if (tuff_jinja_at_operator(p, "(") && !arguments(p, &node->b)) return NULL;
        node->a = of;
        of = node;
        inline_first = false;
    }
    return of;
}

/* "is divisibleby 3": an argument without brackets. */
static bool bare_argument(tuff_jinja_parser *p, tuff_jinja_node **out)
{
    const tuff_jinja_token_kind kind = p->token->kind;
    const bool name = kind == TUFF_JINJA_TOKEN_NAME && !tuff_jinja_at_name(p, "else") &&
                      !tuff_jinja_at_name(p, "or") && !tuff_jinja_at_name(p, "and");
    if (!name && kind != TUFF_JINJA_TOKEN_TEXT && kind != TUFF_JINJA_TOKEN_NUMBER &&
        !tuff_jinja_at_operator(p, "[") && !tuff_jinja_at_operator(p, "{"))
        return true;
    if (tuff_jinja_at_name(p, "is")) return tuff_jinja_parse_fail(p, "a test follows a test: 'is' twice");
    *out = tuff_jinja_parse_node(p, TUFF_JINJA_ARGUMENT);
    if (!*out) return false;
    (*out)->a = postfix(p, primary(p, false));
    return (*out)->a != NULL;
}

static tuff_jinja_node *test(tuff_jinja_parser *p, tuff_jinja_node *of)
{
    const bool negated = tuff_jinja_skip_name(p, "not");
    tuff_jinja_node *node = tuff_jinja_parse_node(p, TUFF_JINJA_TEST);
    if (!node || !dotted(p, &node->text)) return NULL;
    node->a = of;
    const bool good = tuff_jinja_at_operator(p, "(") ? arguments(p, &node->b) : bare_argument(p, &node->b);
    if (!good) return NULL;
    if (!negated) return node;
    tuff_jinja_node *whole = tuff_jinja_parse_node(p, TUFF_JINJA_NOT);
    if (whole) whole->a = node;
    return whole;
}

static tuff_jinja_node *filtered(tuff_jinja_parser *p, tuff_jinja_node *node)
{
    while (node) {
        if (tuff_jinja_at_operator(p, "|"))
            node = tuff_jinja_parse_filters(p, node, false);
        else if (tuff_jinja_skip_name(p, "is"))
            node = test(p, node);
        else if (tuff_jinja_at_operator(p, "("))
            node = call(p, node);
        else
            break;
    }
    return node;
}

static tuff_jinja_node *unary(tuff_jinja_parser *p, bool filters)
{
    const bool minus = tuff_jinja_at_operator(p, "-");
    tuff_jinja_node *node;
    if (!deeper(p)) return NULL;
    if (minus || tuff_jinja_at_operator(p, "+")) {
        node = tuff_jinja_parse_node(p, TUFF_JINJA_SIGN);
        p->token++;
        if (node) {
            node->op = minus ? TUFF_JINJA_SUB : TUFF_JINJA_ADD;
            node->a = unary(p, false);
            if (!node->a) node = NULL;
        }
    } else {
        node = primary(p, false);
    }
    node = postfix(p, node);
    if (filters) node = filtered(p, node);
    p->depth--;
    return node;
}

typedef struct level_op {
    const char *text;
    tuff_jinja_op op;
} level_op;

static tuff_jinja_op take_op(tuff_jinja_parser *p, const level_op *ops)
{
    for (; ops->text; ops++)
        if (tuff_jinja_skip_operator(p, ops->text)) return ops->op;
    return TUFF_JINJA_OP_NONE;
}

enum { ADDITION, JOINING, MULTIPLICATION, POWER, SIGN };

/* Operators of two sides; those of a level go from left to right, ** too. */
static tuff_jinja_node *binary(tuff_jinja_parser *p, int level)
{
    static const level_op ops[][5] = {[ADDITION] = {{"+", TUFF_JINJA_ADD}, {"-", TUFF_JINJA_SUB}, {NULL, 0}},
                                      [JOINING] = {{NULL, 0}},
                                      [MULTIPLICATION] = {{"*", TUFF_JINJA_MUL},
                                                          {"/", TUFF_JINJA_DIV},
                                                          {"//", TUFF_JINJA_FLOORDIV},
                                                          {"%", TUFF_JINJA_MOD},
                                                          {NULL, 0}},
                                      [POWER] = {{"**", TUFF_JINJA_POW}, {NULL, 0}}};
    if (level == SIGN) return unary(p, true);
    tuff_jinja_node *left = binary(p, level + 1), *joined = NULL, **tail = NULL;
    while (left) {
        const tuff_jinja_op op = take_op(p, ops[level]);
        const bool joins = level == JOINING && tuff_jinja_skip_operator(p, "~");
        if (!op && !joins) break;
        tuff_jinja_node *node = joins && joined
                                    ? joined
                                    : tuff_jinja_parse_node(p, joins ? TUFF_JINJA_CONCAT : TUFF_JINJA_BINARY);
        tuff_jinja_node *right = node ? binary(p, level + 1) : NULL;
        if (!right) return NULL;
        if (joins) {
            if (!joined) {
                node->a = left;
                tail = &left->next;
            }
            joined = node;
            *tail = right;
            tail = &right->next;
        } else {
            node->op = (uint8_t)op;
            node->a = left;
            node->b = right;
        }
        left = node;
    }
    return left;
}

static tuff_jinja_node *comparison(tuff_jinja_parser *p)
{
    static const level_op ops[] = {{"==", TUFF_JINJA_EQ},
                                   {"!=", TUFF_JINJA_NE},
                                   {"<=", TUFF_JINJA_LE},
                                   {"<", TUFF_JINJA_LT},
                                   {">=", TUFF_JINJA_GE},
                                   {">", TUFF_JINJA_GT},
                                   {NULL, 0}};
    tuff_jinja_node *first = binary(p, ADDITION), *all = NULL, **tail = NULL;
    while (first) {
        tuff_jinja_op op = take_op(p, ops);
        if (!op && tuff_jinja_skip_name(p, "in")) op = TUFF_JINJA_IN;
        if (!op && tuff_jinja_at_name(p, "not") && p->token[1].kind == TUFF_JINJA_TOKEN_NAME &&
            tuff_view_is(p->token[1].text, "in")) {
            p->token += 2;
            op = TUFF_JINJA_NOT_IN;
        }
        if (!op) break;
        if (!all) {
            all = tuff_jinja_parse_node(p, TUFF_JINJA_COMPARE);
            if (!all) return NULL;
            all->a = first;
            tail = &all->b;
        }
        tuff_jinja_node *one = tuff_jinja_parse_node(p, TUFF_JINJA_OPERAND);
        if (!one) return NULL;
        one->op = (uint8_t)op;
        one->a = binary(p, ADDITION);
        if (!one->a) return NULL;
        *tail = one;
        tail = &one->next;
    }
    return all ? all : first;
}

static tuff_jinja_node *negation(tuff_jinja_parser *p)
{
    if (!tuff_jinja_at_name(p, "not")) return comparison(p);
    tuff_jinja_node *node = tuff_jinja_parse_node(p, TUFF_JINJA_NOT);
    p->token++;
    if (!deeper(p) || !node) return NULL;
    node->a = negation(p);
    p->depth--;
    return node->a ? node : NULL;
}

/* `and` binds closer than `or`. */
static tuff_jinja_node *either(tuff_jinja_parser *p, bool widest)
{
    tuff_jinja_node *left = widest ? either(p, false) : negation(p);
    while (left && tuff_jinja_skip_name(p, widest ? "or" : "and")) {
        tuff_jinja_node *node = tuff_jinja_parse_node(p, widest ? TUFF_JINJA_OR : TUFF_JINJA_AND);
        if (!node) return NULL;
        node->a = left;
        node->b = widest ? either(p, false) : negation(p);
        left = node->b ? node : NULL;
    }
    return left;
}

static tuff_jinja_node *choice(tuff_jinja_parser *p)
{
    tuff_jinja_node *value = either(p, true);
    while (value && tuff_jinja_skip_name(p, "if")) {
        tuff_jinja_node *node = tuff_jinja_parse_node(p, TUFF_JINJA_CHOOSE);
        if (!node) return NULL;
        node->b = value;
        node->a = either(p, true);
        if (!node->a) return NULL;
        if (tuff_jinja_skip_name(p, "else")) {
            node->c = tuff_jinja_parse_expression(p);
            if (!node->c) return NULL;
        }
        value = node;
    }
    return value;
}

tuff_jinja_node *tuff_jinja_parse_expression(tuff_jinja_parser *p)
{
    tuff_jinja_node *node = deeper(p) ? choice(p) : NULL;
    p->depth--;
    return node;
}

/* One of those that commas part. */
static tuff_jinja_node *part(tuff_jinja_parser *p, unsigned flags, bool target, bool members)
{
    if (target) return primary(p, members);
    return flags & TUFF_JINJA_WITH_CHOICE ? tuff_jinja_parse_expression(p) : either(p, true);
}

static tuff_jinja_node *parts(tuff_jinja_parser *p, unsigned flags, const char *end, bool target,
                              bool members)
{
    tuff_jinja_node *first = NULL, **tail = &first, *tuple;
    bool comma = false;
    while (!at_end(p, end)) {
        *tail = part(p, flags, target, members);
        if (!*tail) return NULL;
        tail = &(*tail)->next;
        if (!tuff_jinja_skip_operator(p, ",")) break;
        comma = true;
    }
    if (first && !comma) return first;
    if (!first && !(flags & TUFF_JINJA_EMPTY_TOO)) return tuff_jinja_parse_expected(p, "an expression");
    tuple = tuff_jinja_parse_node(p, TUFF_JINJA_TUPLE_OF);
    if (tuple) tuple->a = first;
    return tuple;
}

tuff_jinja_node *tuff_jinja_parse_tuple(tuff_jinja_parser *p, unsigned flags, const char *end)
{
    tuff_jinja_node *node = deeper(p) ? parts(p, flags, end, false, false) : NULL;
    p->depth--;
    return node;
}

static bool assignable(const tuff_jinja_node *node)
{
    if (node->kind == TUFF_JINJA_NAME || node->kind == TUFF_JINJA_MEMBER_OF) return true;
    if (node->kind != TUFF_JINJA_TUPLE_OF && node->kind != TUFF_JINJA_LIST_OF) return false;
    for (const tuff_jinja_node *one = node->a; one; one = one->next)
        if (!assignable(one)) return false;
    return true;
}

tuff_jinja_node *tuff_jinja_parse_target(tuff_jinja_parser *p, bool members)
{
    tuff_jinja_node *node = parts(p, 0, "in", true, members);
    if (node && !assignable(node)) return tuff_jinja_parse_fail(p, "this cannot be assigned to");
    return node;
}

bool tuff_jinja_parse_parameters(tuff_jinja_parser *p, tuff_jinja_node **out)
{
    bool defaults = false;
    if (!tuff_jinja_expect_operator(p, "(")) return false;
    while (!tuff_jinja_skip_operator(p, ")")) {
        tuff_jinja_node *one = tuff_jinja_parse_node(p, TUFF_JINJA_PARAMETER);
        tuff_view name;
        if (!one || !tuff_jinja_expect_name(p, &name) || !tuff_jinja_parse_symbol(p, name, &one->name))
            return false;
        if (tuff_jinja_skip_operator(p, "=")) {
            defaults = true;
            one->a = tuff_jinja_parse_expression(p);
            if (!one->a) return false;
        } else if (defaults) {
            tuff_jinja_parse_fail(p, "a parameter without a default follows one that has one");
            return false;
        }
        *out = one;
        out = &one->next;
        if (!tuff_jinja_at_operator(p, ")") && !tuff_jinja_expect_operator(p, ",")) return false;
    }
    return true;
}
