/* What operators stand between: literals, names, calls, members, filters and tests, signs. */
#include <string.h>

#include "base/status.h"
#include "jinja/parse.h"

/* A bracket takes three. */
enum { DEEPEST = 200 };

bool tuff_jinja_parse_deeper(tuff_jinja_parser *p)
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

tuff_jinja_node *tuff_jinja_parse_primary(tuff_jinja_parser *p, bool members)
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
        node->b = tuff_jinja_parse_primary(p, false);
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
    (*out)->a = postfix(p, tuff_jinja_parse_primary(p, false));
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

tuff_jinja_node *tuff_jinja_parse_operand(tuff_jinja_parser *p, bool filters)
{
    const bool minus = tuff_jinja_at_operator(p, "-");
    tuff_jinja_node *node;
    if (!tuff_jinja_parse_deeper(p)) return NULL;
    if (minus || tuff_jinja_at_operator(p, "+")) {
        node = tuff_jinja_parse_node(p, TUFF_JINJA_SIGN);
        p->token++;
        if (node) {
            node->op = minus ? TUFF_JINJA_SUB : TUFF_JINJA_ADD;
            node->a = tuff_jinja_parse_operand(p, false);
            if (!node->a) node = NULL;
        }
    } else {
        node = tuff_jinja_parse_primary(p, false);
    }
    node = postfix(p, node);
    if (filters) node = filtered(p, node);
    p->depth--;
    return node;
}
