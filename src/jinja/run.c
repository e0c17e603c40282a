#include "jinja/run.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/status.h"

/* Nested calls of what calls itself. They take up to 190 kB; a thread has 256 kB of stack at least
 * (tuff/status.h). */
enum { DEEPEST = 480, TAIL_SIZE = 4096, LONGEST_TEXT = 1 << 30 };

tuff_status tuff_jinja_run_create(const tuff_jinja_template *template, const tuff_jinja_limits *limits,
                                  tuff_jinja_run **out)
{
    *out = NULL;
    tuff_jinja_run *run = tuff_alloc(sizeof *run);
    if (!run) return tuff_fail_memory("a run of a template");
    run->template = template;
    run->limits = *limits;
    run->line = 1;
    run->variables = tuff_alloc_array(template->name_count, sizeof *run->variables);
    if (!run->variables) {
        tuff_free(run);
        return tuff_fail_memory("a run of a template");
    }
    *out = run;
    return TUFF_OK;
}

void tuff_jinja_run_destroy(tuff_jinja_run **run)
{
    if (!run || !*run) return;
    tuff_buf_free(&(*run)->out);
    tuff_free((*run)->spans);
    tuff_free((*run)->variables);
    tuff_arena_free(&(*run)->arena);
    tuff_free(*run);
    *run = NULL;
}

void tuff_jinja_set(tuff_jinja_run *run, tuff_view name, tuff_jinja_value value)
{
    uint32_t symbol;
    if (tuff_map_get(&run->template->symbols, name.data, name.size, &symbol)) run->variables[symbol] = value;
}

void tuff_jinja_set_time(tuff_jinja_run *run, int64_t seconds)
{
    run->now = seconds;
    run->has_now = true;
}

static bool stop(tuff_jinja_run *run, tuff_status status, const char *format, va_list args)
{
    if (run->status != TUFF_OK) return false; /* the first cause is kept */
    char text[512];
    int size = vsnprintf(text, sizeof text, format, args);
    if (size >= (int)sizeof text) size = (int)tuff_utf8_complete(text, sizeof text - 1);
    if (size >= 0) text[size] = 0;
    run->status = status;
    (void)tuff_fail(status, "line %u: %s", (unsigned)run->line, text);
    return false;
}

bool tuff_jinja_stop(tuff_jinja_run *run, tuff_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    stop(run, status, format, args);
    va_end(args);
    return false;
}

bool tuff_jinja_fail(tuff_jinja_run *run, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    stop(run, TUFF_BAD_FORMAT, format, args);
    va_end(args);
    return false;
}

bool tuff_jinja_no_memory(tuff_jinja_run *run)
{
    if (run->status == TUFF_OK) run->status = tuff_fail_memory("a chat as text");
    return false;
}

bool tuff_jinja_spend(tuff_jinja_run *run, size_t steps)
{
    if (run->status != TUFF_OK) return false;
    if (run->limits.steps < steps)
        return tuff_jinja_fail(run, "the template takes too many steps; does it end at all?");
    run->limits.steps -= steps;
    return true;
}

bool tuff_jinja_spend_bytes(tuff_jinja_run *run, size_t bytes)
{
    return tuff_jinja_spend(run, bytes / 64);
}

bool tuff_jinja_enter(tuff_jinja_run *run)
{
    run->depth++;
    if (run->depth > DEEPEST && run->status == TUFF_OK)
        return tuff_jinja_fail(run, "the template calls itself, or nests values, more than %d levels deep",
                               DEEPEST);
    return run->status == TUFF_OK;
}

void tuff_jinja_leave(tuff_jinja_run *run)
{
    run->depth--;
}

void *tuff_jinja_alloc(tuff_jinja_run *run, size_t size)
{
    if (run->status != TUFF_OK) return NULL;
    if (size > run->limits.memory) {
        tuff_jinja_fail(run, "the template needs too much memory");
        return NULL;
    }
    void *memory = tuff_arena_alloc(&run->arena, size);
    if (!memory) tuff_jinja_no_memory(run);
    run->limits.memory -= size;
    return memory;
}

void *tuff_jinja_array(tuff_jinja_run *run, size_t count, size_t size)
{
    size_t total;
    if (!tuff_mul_size(count, size, &total)) total = SIZE_MAX;
    return tuff_jinja_alloc(run, total);
}

/* Room for `size` bytes behind the texts that were put there last. */
static char *tail_room(tuff_jinja_run *run, size_t size)
{
    if (!tuff_jinja_spend_bytes(run, size)) return NULL;
    if (run->tail && run->tail_size - run->tail_used >= size) return run->tail + run->tail_used;
    if (size > LONGEST_TEXT) {
        tuff_jinja_fail(run, "a text is longer than 1 GiB");
        return NULL;
    }
    const size_t room = size < TAIL_SIZE / 2 ? TAIL_SIZE : 2 * size;
    char *tail = tuff_jinja_alloc(run, room);
    if (!tail) return NULL;
    run->tail = tail;
    run->tail_used = 0;
    run->tail_size = room;
    return tail;
}

bool tuff_jinja_append(tuff_jinja_run *run, tuff_view a, tuff_view b, tuff_jinja_value *out)
{
    /* What is appended to again and again grows where it is, as in CPython. */
    if (a.size && run->tail && a.data + a.size == run->tail + run->tail_used &&
        run->tail_size - run->tail_used >= b.size) {
        if (!tuff_jinja_spend_bytes(run, b.size)) return false;
        if (b.size) memcpy(run->tail + run->tail_used, b.data, b.size);
        run->tail_used += b.size;
        *out = tuff_jinja_view((tuff_view){a.data, a.size + b.size});
        return true;
    }
    char *room = tail_room(run, a.size + b.size);
    if (!room) return false;
    if (a.size) memcpy(room, a.data, a.size);
    if (b.size) memcpy(room + a.size, b.data, b.size);
    run->tail_used += a.size + b.size;
    *out = tuff_jinja_view((tuff_view){room, a.size + b.size});
    return true;
}

bool tuff_jinja_text(tuff_jinja_run *run, const char *data, size_t size, tuff_jinja_value *out)
{
    return tuff_jinja_append(run, (tuff_view){0}, (tuff_view){data, size}, out);
}

bool tuff_jinja_take(tuff_jinja_run *run, tuff_buf *buf, tuff_jinja_value *out)
{
    const bool good =
        buf->failed ? tuff_jinja_no_memory(run) : tuff_jinja_text(run, buf->data, buf->size, out);
    tuff_buf_free(buf);
    return good;
}

bool tuff_jinja_str(tuff_jinja_run *run, const tuff_jinja_value *value, tuff_jinja_value *out)
{
    tuff_buf buf = {0};
    if (value->kind == TUFF_JINJA_TEXT) {
        *out = *value;
        out->safe = false;
        return true;
    }
    if (tuff_jinja_spell(run, value, false, &buf)) return tuff_jinja_take(run, &buf, out);
    tuff_buf_free(&buf);
    return false;
}

bool tuff_jinja_escape(tuff_jinja_run *run, tuff_view text, tuff_jinja_value *out)
{
    static const char marks[] = "&<>\"'";
    static const char *const spelled[] = {"&amp;", "&lt;", "&gt;", "&#34;", "&#39;"};
    tuff_buf buf = {0};
    if (!tuff_jinja_spend_bytes(run, text.size)) return false;
    for (size_t i = 0; i < text.size; i++) {
        const char *mark = memchr(marks, text.data[i], 5);
        if (mark)
            tuff_buf_text(&buf, spelled[mark - marks]);
        else
            tuff_buf_char(&buf, text.data[i]);
    }
    if (!tuff_jinja_take(run, &buf, out)) return false;
    out->safe = true;
    return true;
}

bool tuff_jinja_scope_push(tuff_jinja_run *run)
{
    tuff_jinja_scope *scope = tuff_jinja_alloc(run, sizeof *scope);
    if (!scope) return false;
    scope->outer = run->scope;
    run->scope = scope;
    return true;
}

bool tuff_jinja_scope_set(tuff_jinja_run *run, uint32_t name, tuff_jinja_value value)
{
    tuff_jinja_scope *scope = run->scope;
    for (size_t i = 0; i < scope->count; i++)
        if (scope->slots[i].name == name) {
            scope->slots[i].value = value;
            return true;
        }
    if (scope->count == scope->capacity) {
        const size_t capacity = scope->capacity ? 2 * scope->capacity : 4;
        tuff_jinja_slot *slots = tuff_jinja_array(run, capacity, sizeof *slots);
        if (!slots) return false;
        if (scope->count) memcpy(slots, scope->slots, scope->count * sizeof *slots);
        scope->slots = slots;
        scope->capacity = capacity;
    }
    scope->slots[scope->count++] = (tuff_jinja_slot){name, value};
    return true;
}

tuff_jinja_value tuff_jinja_lookup(const tuff_jinja_run *run, uint32_t name)
{
    tuff_jinja_value value = {0};
    for (const tuff_jinja_scope *scope = run->scope; scope; scope = scope->outer)
        for (size_t i = 0; i < scope->count; i++)
            if (scope->slots[i].name == name) return scope->slots[i].value;
    if (run->variables[name].kind != TUFF_JINJA_MISSING) return run->variables[name];
    const tuff_view text = run->template->names[name];
    if (tuff_jinja_global(text, &value)) return value;
    value = tuff_jinja_view(text);
    value.kind = TUFF_JINJA_UNDEFINED;
    return value;
}

bool tuff_jinja_fail_undefined(tuff_jinja_run *run, const tuff_jinja_value *value)
{
    const int size = value->size < 100 ? (int)value->size : 100;
    if (!value->of) return tuff_jinja_fail(run, "'%.*s' is undefined", size, value->as.text);
    const tuff_jinja_value owner = {.kind = value->of};
    return tuff_jinja_fail(
        run, value->forbidden ? "templates may not use '%.*s' of a %s" : "there is no '%.*s' in this %s",
        size, value->as.text, tuff_jinja_type(&owner));
}

bool tuff_jinja_given(const tuff_jinja_value *value)
{
    return value->kind != TUFF_JINJA_MISSING && value->kind != TUFF_JINJA_NONE;
}

/* The number of a parameter among names by spaces, or -1. */
static int parameter(const char *names, tuff_view name)
{
    int number = 0;
    for (const char *at = names; *at; number++) {
        const size_t size = strcspn(at, " ");
        if (tuff_view_equal((tuff_view){at, size}, name)) return number;
        at += size + (at[size] == ' ');
    }
    return -1;
}

bool tuff_jinja_bind(tuff_jinja_run *run, const char *function, const char *names,
                     const tuff_jinja_args *args, tuff_jinja_value *out)
{
    size_t room = *names ? 1 : 0;
    for (const char *c = names; *c; c++)
        room += *c == ' ';
    for (size_t i = 0; i < room; i++)
        out[i] = (tuff_jinja_value){0};
    if (args->count > room)
        return tuff_jinja_fail(run, "%s has %zu arguments, more than the %zu that it takes", function,
                               args->count, room);
    for (size_t i = 0; i < args->count; i++)
        out[i] = args->items[i];
    for (size_t i = 0; i < args->named_count; i++) {
        const tuff_view name = run->template->names[args->named[i].name];
        const int place = parameter(names, name);
        if (place < 0)
            return tuff_jinja_fail(run, "%s has an argument '%.*s', which it does not know", function,
                                   (int)(name.size < 60 ? name.size : 60), name.data);
        out[place] = args->named[i].value;
    }
    return true;
}

bool tuff_jinja_arg_int(tuff_jinja_run *run, const char *what, const tuff_jinja_value *value, int64_t *out)
{
    if (!tuff_jinja_given(value) || tuff_jinja_as_int(value, out)) return true;
    return tuff_jinja_fail(run, "%s is a %s, not a whole number", what, tuff_jinja_type(value));
}

bool tuff_jinja_arg_text(tuff_jinja_run *run, const char *what, const tuff_jinja_value *value, tuff_view *out)
{
    if (!tuff_jinja_given(value)) return true;
    if (value->kind == TUFF_JINJA_UNDEFINED) return tuff_jinja_fail_undefined(run, value);
    if (value->kind != TUFF_JINJA_TEXT)
        return tuff_jinja_fail(run, "%s is a %s, not a text", what, tuff_jinja_type(value));
    *out = tuff_jinja_text_of(value);
    return true;
}
