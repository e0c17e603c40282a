/* Tests: what stands behind `is`, and what select asks. */
#include <string.h>

#include "jinja/run.h"
#include "jinja/strings.h"

/* One of a value alone. */
static bool kind_test(const tuff_jinja_value *v, const char *name, bool *out)
{
    int64_t integer = 0;
    enum {
        DEFINED,
        UNDEFINED,
        NONE,
        BOOLEAN,
        TRUE_,
        FALSE_,
        INTEGER,
        FLOAT,
        NUMBER,
        STRING,
        MAPPING,
        SEQUENCE,
        ITERABLE,
        CALLABLE,
        ESCAPED,
        KNOWN
    };
    static const char *const names[] = {"defined", "undefined", "none",     "boolean",  "true",
                                        "false",   "integer",   "float",    "number",   "string",
                                        "mapping", "sequence",  "iterable", "callable", "escaped"};
    size_t which = 0;
    while (which < KNOWN && strcmp(name, names[which]) != 0)
        which++;
    const bool number = tuff_jinja_as_int(v, &integer);
    const bool truth = v->kind == TUFF_JINJA_BOOL;
    switch (which) {
    case DEFINED:
        *out = v->kind != TUFF_JINJA_UNDEFINED;
        break;
    case UNDEFINED:
        *out = v->kind == TUFF_JINJA_UNDEFINED;
        break;
    case NONE:
        *out = v->kind == TUFF_JINJA_NONE;
        break;
    case BOOLEAN:
        *out = truth;
        break;
    case TRUE_:
        *out = truth && v->as.truth;
        break;
    case FALSE_:
        *out = truth && !v->as.truth;
        break;
    case INTEGER:
        *out = number && !truth;
        break;
    case FLOAT:
        *out = v->kind == TUFF_JINJA_FLOAT;
        break;
    case NUMBER:
        *out = tuff_jinja_is_number(v);
        break;
    case STRING:
        *out = v->kind == TUFF_JINJA_TEXT;
        break;
    case MAPPING:
        *out = v->kind == TUFF_JINJA_DICT;
        break;
    case SEQUENCE: /* it has a length and items; a dict has, too */
        *out = v->kind == TUFF_JINJA_TEXT || v->kind == TUFF_JINJA_DICT || v->kind == TUFF_JINJA_UNDEFINED ||
               (v->kind >= TUFF_JINJA_LIST && v->kind <= TUFF_JINJA_RANGE);
        break;
    case ITERABLE:
        *out = tuff_jinja_is_iterable(v);
        break;
    case CALLABLE:
        *out = v->kind >= TUFF_JINJA_MACRO || v->kind == TUFF_JINJA_UNDEFINED;
        break;
    case ESCAPED:
        *out = v->kind == TUFF_JINJA_TEXT && v->safe;
        break;
    default:
        return false;
    }
    return true;
}

static bool divides(tuff_jinja_run *run, const tuff_jinja_value *value, int64_t by, int64_t rest, bool *out)
{
    const tuff_jinja_value divisor = tuff_jinja_int(by), wanted = tuff_jinja_int(rest);
    tuff_jinja_value left;
    if (value->kind == TUFF_JINJA_TEXT)
        return tuff_jinja_fail(run, "a text is asked whether a number divides it");
    if (!tuff_jinja_operate(run, TUFF_JINJA_MOD, value, &divisor, &left)) return false;
    *out = tuff_jinja_equal(run, &left, &wanted);
    return run->status == TUFF_OK;
}

/* Python's `is`: of what is a value there, equality of the same kind. */
static bool same(tuff_jinja_run *run, const tuff_jinja_value *a, const tuff_jinja_value *b)
{
    if (a->kind != b->kind) return false;
    if (a->kind >= TUFF_JINJA_LIST && a->kind != TUFF_JINJA_FUNCTION) return a->as.list == b->as.list;
    return tuff_jinja_equal(run, a, b);
}

/* One that compares with an argument. */
static bool relation(const char *name, tuff_jinja_op *out)
{
    static const struct {
        const char *name;
        tuff_jinja_op op;
    } names[] = {{"==", TUFF_JINJA_EQ},       {"eq", TUFF_JINJA_EQ},          {"equalto", TUFF_JINJA_EQ},
                 {"!=", TUFF_JINJA_NE},       {"ne", TUFF_JINJA_NE},          {">", TUFF_JINJA_GT},
                 {"gt", TUFF_JINJA_GT},       {"greaterthan", TUFF_JINJA_GT}, {">=", TUFF_JINJA_GE},
                 {"ge", TUFF_JINJA_GE},       {"<", TUFF_JINJA_LT},           {"lt", TUFF_JINJA_LT},
                 {"lessthan", TUFF_JINJA_LT}, {"<=", TUFF_JINJA_LE},          {"le", TUFF_JINJA_LE},
                 {"in", TUFF_JINJA_IN}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i].name, name) != 0) continue;
        *out = names[i].op;
        return true;
    }
    return false;
}

bool tuff_jinja_test(tuff_jinja_run *run, tuff_view name, const tuff_jinja_value *value,
                     const tuff_jinja_args *args, bool *out)
{
    char word[24] = "";
    tuff_jinja_value given[1];
    tuff_jinja_op op = TUFF_JINJA_OP_NONE;
    int64_t number = 0;
    if (name.size < sizeof word) memcpy(word, name.data, name.size);
    if (kind_test(value, word, out)) return tuff_jinja_bind(run, word, "", args, NULL);
    const bool upper = strcmp(word, "upper") == 0;
    if (upper || strcmp(word, "lower") == 0) {
        tuff_jinja_value text;
        if (!tuff_jinja_bind(run, word, "", args, NULL) || !tuff_jinja_str(run, value, &text)) return false;
        *out = tuff_jinja_all_are(tuff_jinja_text_of(&text), upper ? TUFF_JINJA_ISUPPER : TUFF_JINJA_ISLOWER);
        return tuff_jinja_spend_bytes(run, text.size);
    }
    if (strcmp(word, "odd") == 0 || strcmp(word, "even") == 0)
        return tuff_jinja_bind(run, word, "", args, NULL) && divides(run, value, 2, word[0] == 'o', out);
    const bool by = strcmp(word, "divisibleby") == 0, is = strcmp(word, "sameas") == 0;
    if (!by && !is && !relation(word, &op))
        return tuff_jinja_stop(run, TUFF_UNSUPPORTED, "there is no test '%.*s'",
                               (int)(name.size < 60 ? name.size : 60), name.data);
    if (!tuff_jinja_bind(run, word, by ? "num" : is ? "other" : "b", args, given)) return false;
    if (given[0].kind == TUFF_JINJA_MISSING)
        return tuff_jinja_fail(run, "the test %s needs an argument", word);
    if (by)
        return tuff_jinja_arg_int(run, "what divides", &given[0], &number) &&
               divides(run, value, number, 0, out);
    if (is) {
        *out = same(run, value, &given[0]);
        return run->status == TUFF_OK;
    }
    return tuff_jinja_relate(run, op, value, &given[0], out);
}
