/* Statements: tags and what stands between them. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "jinja/parse.h"

tuff_jinja_node *tuff_jinja_parse_fail(tuff_jinja_parser *p, const char *format, ...)
{
    char text[256];
    va_list args;
    if (p->status != TUFF_OK) return NULL;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    p->status = tuff_fail(TUFF_BAD_FORMAT, "line %u: %s", (unsigned)p->token->line, text);
    return NULL;
}

tuff_jinja_node *tuff_jinja_parse_expected(tuff_jinja_parser *p, const char *what)
{
    const tuff_jinja_token *token = p->token;
    const int size = token->text.size < 40 ? (int)token->text.size : 40;
    if (token->kind == TUFF_JINJA_TOKEN_END)
        return tuff_jinja_parse_fail(p, "the template ends where %s is expected", what);
    return tuff_jinja_parse_fail(p, "'%.*s' is where %s is expected", size, token->text.data, what);
}

tuff_jinja_node *tuff_jinja_parse_node(tuff_jinja_parser *p, tuff_jinja_node_kind kind)
{
    tuff_jinja_node *node = tuff_arena_alloc(&p->template->arena, sizeof *node);
    if (!node) {
        if (p->status == TUFF_OK) p->status = tuff_fail_memory("a template");
        return NULL;
    }
    node->kind = (uint8_t)kind;
    node->line = p->token->line;
    node->name = TUFF_JINJA_NO_NAME;
    return node;
}

bool tuff_jinja_parse_symbol(tuff_jinja_parser *p, tuff_view name, uint32_t *out)
{
    tuff_jinja_template *t = p->template;
    if (tuff_map_get(&t->symbols, name.data, name.size, out)) return true;
    if (!tuff_grow((void **)&t->names, t->name_count, &t->name_capacity, sizeof *t->names) ||
        !tuff_map_put(&t->symbols, name.data, name.size, (uint32_t)t->name_count)) {
        if (p->status == TUFF_OK) p->status = tuff_fail_memory("a template");
        return false;
    }
    *out = (uint32_t)t->name_count;
    t->names[t->name_count++] = name;
    return true;
}

bool tuff_jinja_at_name(const tuff_jinja_parser *p, const char *name)
{
    return p->token->kind == TUFF_JINJA_TOKEN_NAME && tuff_view_is(p->token->text, name);
}

bool tuff_jinja_at_operator(const tuff_jinja_parser *p, const char *operator)
{
    return p->token->kind == TUFF_JINJA_TOKEN_OPERATOR && tuff_view_is(p->token->text, operator);
}

bool tuff_jinja_skip_name(tuff_jinja_parser *p, const char *name)
{
    const bool there = tuff_jinja_at_name(p, name);
    p->token += there;
    return there;
}

bool tuff_jinja_skip_operator(tuff_jinja_parser *p, const char *operator)
{
    const bool there = tuff_jinja_at_operator(p, operator);
    p->token += there;
    return there;
}

bool tuff_jinja_expect_operator(tuff_jinja_parser *p, const char *operator)
{
    char what[16];
    if (tuff_jinja_skip_operator(p, operator)) return true;
    snprintf(what, sizeof what, "'%s'", operator);
    tuff_jinja_parse_expected(p, what);
    return false;
}

bool tuff_jinja_expect_name(tuff_jinja_parser *p, tuff_view *out)
{
    if (p->token->kind != TUFF_JINJA_TOKEN_NAME) return tuff_jinja_parse_expected(p, "a name");
    *out = p->token++->text;
    return true;
}

/* The end of a tag. */
static bool tag_ends(tuff_jinja_parser *p)
{
    if (p->token->kind != TUFF_JINJA_TOKEN_BLOCK_END) return tuff_jinja_parse_expected(p, "'%}'");
    p->token++;
    return true;
}

static tuff_jinja_node *statement(tuff_jinja_parser *p);

/* Whether a tag begins that is called as one of `names`, by spaces; NULL: none ends what is parsed. */
static bool at_tag(const tuff_jinja_parser *p, const char *names)
{
    const tuff_view name = p->token[1].text;
    if (p->token->kind != TUFF_JINJA_TOKEN_BLOCK || p->token[1].kind != TUFF_JINJA_TOKEN_NAME) return false;
    for (const char *at = names; at && *at;) {
        const size_t size = strcspn(at, " ");
        if (tuff_view_equal((tuff_view){at, size}, name)) return true;
        at += size + (at[size] == ' ');
    }
    return false;
}

static tuff_jinja_node *data_or_print(tuff_jinja_parser *p)
{
    const bool data = p->token->kind == TUFF_JINJA_TOKEN_DATA;
    tuff_jinja_node *node = tuff_jinja_parse_node(p, data ? TUFF_JINJA_DATA : TUFF_JINJA_PRINT);
    if (!node) return NULL;
    node->value = p->token++->value;
    if (data) return node;
    node->a = tuff_jinja_parse_tuple(p, TUFF_JINJA_WITH_CHOICE, NULL);
    if (!node->a) return NULL;
    if (p->token->kind != TUFF_JINJA_TOKEN_PRINT_END) return tuff_jinja_parse_expected(p, "'}}'");
    p->token++;
    return node;
}

/* Everything up to a tag called as one of `ends`, whose name is then next. */
static bool body(tuff_jinja_parser *p, const char *ends, tuff_jinja_node **tail)
{
    char what[80];
    bool good = p->depth < TUFF_JINJA_NESTING;
    if (!good) tuff_jinja_parse_fail(p, "tags are nested more than %d levels deep", TUFF_JINJA_NESTING);
    p->depth++;
    while (good && p->token->kind != TUFF_JINJA_TOKEN_END && !at_tag(p, ends)) {
        tuff_jinja_node *node;
        if (p->token->kind == TUFF_JINJA_TOKEN_BLOCK) {
            p->token++;
            node = statement(p);
            good = node && tag_ends(p);
        } else {
            node = data_or_print(p);
            good = node != NULL;
        }
        *tail = node;
        if (node) tail = &node->next;
    }
    p->depth--;
    if (!good) return false;
    if (ends && p->token->kind == TUFF_JINJA_TOKEN_END) {
        size_t size = (size_t)snprintf(what, sizeof what, "the tag ");
        for (const char *end = ends; *end && size < sizeof what; end += strcspn(end, " "), end += *end == ' ')
            size += (size_t)snprintf(what + size, sizeof what - size, "%s%.*s", end == ends ? "" : " or ",
                                     (int)strcspn(end, " "), end);
        return tuff_jinja_parse_expected(p, what);
    }
    if (ends) p->token++;
    return true;
}

/* The same from the end of a tag on, and the name of the tag that ends it. */
static bool block(tuff_jinja_parser *p, const char *ends, tuff_jinja_node **out)
{
    tuff_jinja_skip_operator(p, ":");
    return tag_ends(p) && body(p, ends, out);
}

/* A block that has the name `end` alone behind it, and no loop around it that `break` could leave. */
static bool closed_block(tuff_jinja_parser *p, const char *end, tuff_jinja_node **out)
{
    const unsigned loops = p->loops;
    p->loops = 0;
    const bool good = block(p, end, out);
    p->loops = loops;
    if (good) p->token++;
    return good;
}

static bool set(tuff_jinja_parser *p, tuff_jinja_node *node)
{
    node->a = tuff_jinja_parse_target(p, true);
    if (!node->a) return false;
    if (tuff_jinja_skip_operator(p, "=")) {
        node->b = tuff_jinja_parse_tuple(p, TUFF_JINJA_WITH_CHOICE, NULL);
        return node->b != NULL;
    }
    node->kind = TUFF_JINJA_SET_BLOCK;
    node->b = tuff_jinja_parse_filters(p, NULL, false);
    return p->status == TUFF_OK && closed_block(p, "endset", &node->c);
}

static bool if_(tuff_jinja_parser *p, tuff_jinja_node *node)
{
    for (;;) {
        node->a = tuff_jinja_parse_tuple(p, 0, NULL);
        if (!node->a || !block(p, "elif else endif", &node->b)) return false;
        if (tuff_jinja_skip_name(p, "elif")) {
            node->c = tuff_jinja_parse_node(p, TUFF_JINJA_IF);
            node = node->c;
            if (!node) return false;
            node->stars = 1; /* an elif */
            continue;
        }
        if (tuff_jinja_skip_name(p, "else") && !block(p, "endif", &node->c)) return false;
        return tuff_jinja_skip_name(p, "endif");
    }
}

static bool for_(tuff_jinja_parser *p, tuff_jinja_node *node)
{
    node->a = tuff_jinja_parse_target(p, false);
    if (!node->a) return false;
    if (!tuff_jinja_skip_name(p, "in")) return tuff_jinja_parse_expected(p, "'in'");
    node->b = tuff_jinja_parse_tuple(p, 0, "recursive");
    if (!node->b) return false;
    if (tuff_jinja_skip_name(p, "if")) {
        node->d = tuff_jinja_parse_expression(p);
        if (!node->d) return false;
    }
    node->stars = tuff_jinja_skip_name(p, "recursive");
    p->loops++;
    const bool good = block(p, "endfor else", &node->c);
    p->loops--;
    if (!good) return false;
    if (tuff_jinja_skip_name(p, "else") && !block(p, "endfor", &node->e)) return false;
    return tuff_jinja_skip_name(p, "endfor");
}

static bool with(tuff_jinja_parser *p, tuff_jinja_node *node)
{
    tuff_jinja_node **tail = &node->a;
    while (p->token->kind != TUFF_JINJA_TOKEN_BLOCK_END) {
        if (node->a && !tuff_jinja_expect_operator(p, ",")) return false;
        tuff_jinja_node *one = tuff_jinja_parse_node(p, TUFF_JINJA_SET);
        tuff_view name;
        if (!one) return false;
        one->a = tuff_jinja_parse_node(p, TUFF_JINJA_NAME);
        if (!one->a || !tuff_jinja_expect_name(p, &name) ||
            !tuff_jinja_parse_symbol(p, name, &one->a->name) || !tuff_jinja_expect_operator(p, "="))
            return false;
        one->b = tuff_jinja_parse_expression(p);
        if (!one->b) return false;
        *tail = one;
        tail = &one->next;
    }
    if (!block(p, "endwith", &node->c)) return false;
    p->token++;
    return true;
}

static bool macro(tuff_jinja_parser *p, tuff_jinja_node *node)
{
    tuff_jinja_node *outer = p->macro;
    tuff_view name;
    if (node->kind == TUFF_JINJA_MACRO_OF &&
        (!tuff_jinja_expect_name(p, &name) || !tuff_jinja_parse_symbol(p, name, &node->name)))
        return false;
    if ((node->kind == TUFF_JINJA_MACRO_OF || tuff_jinja_at_operator(p, "(")) &&
        !tuff_jinja_parse_parameters(p, &node->a))
        return false;
    if (node->kind == TUFF_JINJA_CALL_BLOCK) {
        node->b = tuff_jinja_parse_expression(p);
        if (!node->b) return false;
        if (node->b->kind != TUFF_JINJA_CALL) return tuff_jinja_parse_expected(p, "a call");
    }
    p->macro = node;
    const bool good = closed_block(p, node->kind == TUFF_JINJA_MACRO_OF ? "endmacro" : "endcall", &node->c);
    p->macro = outer;
    return good;
}

static bool filter(tuff_jinja_parser *p, tuff_jinja_node *node)
{
    node->b = tuff_jinja_parse_filters(p, NULL, true);
    return node->b && closed_block(p, "endfilter", &node->c);
}

static bool generation(tuff_jinja_parser *p, tuff_jinja_node *node)
{
    p->template->marks = true;
    return closed_block(p, "endgeneration", &node->c);
}

/* Nothing is escaped, whatever it says. */
static bool autoescape(tuff_jinja_parser *p, tuff_jinja_node *node)
{
    node->a = tuff_jinja_parse_expression(p);
    if (!node->a) return false;
    if (node->a->kind != TUFF_JINJA_CONST || node->a->value.kind != TUFF_JINJA_BOOL ||
        node->a->value.as.truth)
        return tuff_jinja_parse_fail(p, "autoescape is other than false, which Tuff has not");
    node->a = NULL;
    if (!block(p, "endautoescape", &node->c)) return false;
    p->token++;
    return true;
}

static bool jump(tuff_jinja_parser *p, tuff_jinja_node *node)
{
    if (p->loops) return true;
    return tuff_jinja_parse_fail(p, "%s is in no loop",
                                 node->kind == TUFF_JINJA_BREAK_LOOP ? "break" : "continue");
}

/* "{% print a %}" */
static bool print(tuff_jinja_parser *p, tuff_jinja_node *node)
{
    node->a = tuff_jinja_parse_expression(p);
    return node->a != NULL;
}

static tuff_jinja_node *statement(tuff_jinja_parser *p)
{
    static const struct {
        const char *name;
        tuff_jinja_node_kind kind;
        bool (*parse)(tuff_jinja_parser *p, tuff_jinja_node *node);
    } tags[] = {{"if", TUFF_JINJA_IF, if_},
                {"set", TUFF_JINJA_SET, set},
                {"for", TUFF_JINJA_FOR, for_},
                {"macro", TUFF_JINJA_MACRO_OF, macro},
                {"generation", TUFF_JINJA_GENERATION, generation},
                {"break", TUFF_JINJA_BREAK_LOOP, jump},
                {"continue", TUFF_JINJA_NEXT_TURN, jump},
                {"with", TUFF_JINJA_WITH, with},
                {"call", TUFF_JINJA_CALL_BLOCK, macro},
                {"filter", TUFF_JINJA_FILTER_OF, filter},
                {"autoescape", TUFF_JINJA_STATEMENTS, autoescape},
                {"print", TUFF_JINJA_PRINT, print}};
    static const char *const others[] = {"include", "import", "from", "extends", "block"};
    const tuff_view name = p->token->text;
    if (p->token->kind != TUFF_JINJA_TOKEN_NAME) return tuff_jinja_parse_expected(p, "the name of a tag");
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        if (!tuff_view_is(name, tags[i].name)) continue;
        tuff_jinja_node *node = tuff_jinja_parse_node(p, tags[i].kind);
        p->token++;
        return node && tags[i].parse(p, node) ? node : NULL;
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (!tuff_view_is(name, others[i])) continue;
        p->status =
            tuff_fail(TUFF_UNSUPPORTED,
                      "line %u: the tag %s is for templates of several files, which a chat template is not",
                      (unsigned)p->token->line, others[i]);
        return NULL;
    }
    return tuff_jinja_parse_fail(p, "there is no tag '%.*s' that could stand here",
                                 (int)(name.size < 40 ? name.size : 40), name.data);
}

/* Line ends become \n; the last one is dropped. */
static size_t copy_lines(char *to, const char *text, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < size; i++) {
        to[n++] = text[i] == '\r' ? '\n' : text[i];
        if (text[i] == '\r' && i + 1 < size && text[i + 1] == '\n') i++;
    }
    return n && to[n - 1] == '\n' ? n - 1 : n;
}

static tuff_status parse(tuff_jinja_template *t, tuff_view text)
{
    tuff_jinja_tokens tokens = {0};
    tuff_jinja_parser p = {.template = t};
    tuff_status status;
    TUFF_GO(tuff_jinja_lex(text, &t->arena, &tokens));
    p.token = tokens.items;
    if (!tuff_jinja_parse_symbol(&p, tuff_view_of("loop"), &t->loop) ||
        !tuff_jinja_parse_symbol(&p, tuff_view_of("caller"), &t->caller) ||
        !tuff_jinja_parse_symbol(&p, tuff_view_of("varargs"), &t->varargs) ||
        !tuff_jinja_parse_symbol(&p, tuff_view_of("kwargs"), &t->kwargs))
        TUFF_GO(p.status);
    const bool good = body(&p, NULL, &t->body);
    TUFF_ASSERT(good == (p.status == TUFF_OK));
    status = p.status;
done:
    tuff_free(tokens.items);
    return status;
}

tuff_status tuff_jinja_parse(const char *text, size_t size, tuff_jinja_template **out)
{
    enum { LARGEST = 4 << 20 };
    *out = NULL;
    if (size > LARGEST) return tuff_fail(TUFF_BAD_FORMAT, "it has %zu bytes, more than 4 MiB", size);
    if (!tuff_utf8_valid(text, size)) return tuff_fail(TUFF_BAD_FORMAT, "it is not UTF-8");
    tuff_jinja_template *t = tuff_alloc(sizeof *t);
    if (t) t->text = tuff_alloc(size + 1);
    if (!t || !t->text) {
        tuff_free(t);
        return tuff_fail_memory("a template");
    }
    const tuff_view lines = {t->text, copy_lines(t->text, text, size)};
    const tuff_status status = parse(t, lines);
    if (status != TUFF_OK) {
        tuff_jinja_destroy(&t);
        return status;
    }
    *out = t;
    return TUFF_OK;
}

void tuff_jinja_destroy(tuff_jinja_template **template)
{
    if (!template || !*template) return;
    tuff_arena_free(&(*template)->arena);
    tuff_map_free(&(*template)->symbols);
    tuff_free((*template)->names);
    tuff_free((*template)->text);
    tuff_free(*template);
    *template = NULL;
}

bool tuff_jinja_marks(const tuff_jinja_template *template)
{
    return template->marks;
}
