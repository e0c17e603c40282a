/* Expressions, by Jinja's own precedence: or, and, not, comparisons, + -, ~, * / // %, **; tuples, and what
 * can be assigned to. */
#include "base/status.h"
#include "jinja/parse.h"

static bool at_end(const tuff_jinja_parser *p, const char *end)
{
    return p->token->kind == TUFF_JINJA_TOKEN_PRINT_END || p->token->kind == TUFF_JINJA_TOKEN_BLOCK_END ||
           tuff_jinja_at_operator(p, ")") || (end && tuff_jinja_at_name(p, end));
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
    if (level == SIGN) return tuff_jinja_parse_operand(p, true);
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
    if (!tuff_jinja_parse_deeper(p) || !node) return NULL;
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
    tuff_jinja_node *node = tuff_jinja_parse_deeper(p) ? choice(p) : NULL;
    p->depth--;
    return node;
}

/* One of those that commas part. */
static tuff_jinja_node *part(tuff_jinja_parser *p, unsigned flags, bool target, bool members)
{
    if (target) return tuff_jinja_parse_primary(p, members);
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
    tuff_jinja_node *node = tuff_jinja_parse_deeper(p) ? parts(p, flags, end, false, false) : NULL;
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
