/* A template at work: its memory, its bounds, its scopes, where its text goes. */
#ifndef TUFF_JINJA_RUN_H
#define TUFF_JINJA_RUN_H

#include <tuff/status.h>

#include "base/memory.h"
#include "jinja/jinja.h"
#include "jinja/node.h"
#include "jinja/value.h"

/* Values of names, where a template sets them. */
typedef struct tuff_jinja_slot {
    uint32_t name;
    tuff_jinja_value value;
} tuff_jinja_slot;
typedef struct tuff_jinja_scope {
    struct tuff_jinja_scope *outer;
    tuff_jinja_slot *slots;
    size_t count, capacity;
} tuff_jinja_scope;

struct tuff_jinja_run {
    const tuff_jinja_template *template;
    tuff_jinja_limits limits; /* what is left of them */
    tuff_arena arena;
    tuff_status status; /* why it ended; TUFF_OK: it did not fail */
    uint32_t line;      /* of the template, for errors */
    unsigned depth;
    char *tail; /* room where texts are put one after the other, */
    size_t tail_used, tail_size;
    tuff_jinja_value *variables; /* [template->symbols]: from outside; MISSING: none */
    tuff_jinja_scope *scope;
    tuff_buf out;
    unsigned captured; /* how many blocks take `out` for themselves */
    size_t printed;    /* bytes that are out for good, while some do */
    tuff_jinja_span *spans;
    size_t span_count, span_capacity;
    enum { TUFF_JINJA_GOES_ON, TUFF_JINJA_BREAK, TUFF_JINJA_CONTINUE } jump;
    int64_t now; /* see tuff_jinja_set_time */
    bool has_now;
};

/* Errors. Both return false. The first: a status, and a sentence behind "line 12: ". */
bool tuff_jinja_stop(tuff_jinja_run *run, tuff_status status, const char *format, ...) TUFF_PRINTF(3, 4);
bool tuff_jinja_fail(tuff_jinja_run *run, const char *format, ...) TUFF_PRINTF(2, 3); /* BAD_FORMAT */
bool tuff_jinja_no_memory(tuff_jinja_run *run);

/* Counts work; false: there was too much. Bytes count less than nodes. */
bool tuff_jinja_spend(tuff_jinja_run *run, size_t steps);
bool tuff_jinja_spend_bytes(tuff_jinja_run *run, size_t bytes);
/* Nested calls of functions that call themselves; `leave` after each `enter`, also one that failed. */
bool tuff_jinja_enter(tuff_jinja_run *run);
void tuff_jinja_leave(tuff_jinja_run *run);

/* Zeroed; NULL: the run failed. */
void *tuff_jinja_alloc(tuff_jinja_run *run, size_t size);
void *tuff_jinja_array(tuff_jinja_run *run, size_t count, size_t size);
/* A copy of bytes as text. */
bool tuff_jinja_text(tuff_jinja_run *run, const char *data, size_t size, tuff_jinja_value *out);
/* The same of a buffer, which is freed. */
bool tuff_jinja_take(tuff_jinja_run *run, tuff_buf *buf, tuff_jinja_value *out);
/* a and b, one after the other. */
bool tuff_jinja_append(tuff_jinja_run *run, tuff_view a, tuff_view b, tuff_jinja_value *out);
/* str() as text. */
bool tuff_jinja_str(tuff_jinja_run *run, const tuff_jinja_value *value, tuff_jinja_value *out);
/* & < > " ' as HTML has them. */
bool tuff_jinja_escape(tuff_jinja_run *run, tuff_view text, tuff_jinja_value *out);

/* Arguments of a call. */
typedef struct tuff_jinja_named {
    uint32_t name;
    tuff_jinja_value value;
} tuff_jinja_named;
typedef struct tuff_jinja_args {
    const tuff_jinja_value *items;
    size_t count;
    const tuff_jinja_named *named;
    size_t named_count;
} tuff_jinja_args;
/* Puts arguments where their parameters are: `names` are those of the parameters, by spaces, as many as `out`
 * has room for; what is not given is MISSING. Fails when there are too many, or others. */
bool tuff_jinja_bind(tuff_jinja_run *run, const char *function, const char *names,
                     const tuff_jinja_args *args, tuff_jinja_value *out);
/* Of such a parameter; what is not given leaves *out as it is. */
bool tuff_jinja_arg_int(tuff_jinja_run *run, const char *what, const tuff_jinja_value *value, int64_t *out);
bool tuff_jinja_arg_text(tuff_jinja_run *run, const char *what, const tuff_jinja_value *value,
                         tuff_view *out);
bool tuff_jinja_given(const tuff_jinja_value *value); /* and not None */

/* Evaluating (eval.c, execute.c, call.c). */
bool tuff_jinja_eval(tuff_jinja_run *run, const tuff_jinja_node *node, tuff_jinja_value *out);
bool tuff_jinja_operate(tuff_jinja_run *run, tuff_jinja_op op, const tuff_jinja_value *a,
                        const tuff_jinja_value *b, tuff_jinja_value *out);
bool tuff_jinja_negate(tuff_jinja_run *run, bool minus, const tuff_jinja_value *a, tuff_jinja_value *out);
bool tuff_jinja_relate(tuff_jinja_run *run, tuff_jinja_op op, const tuff_jinja_value *a,
                       const tuff_jinja_value *b, bool *out);
bool tuff_jinja_contains(tuff_jinja_run *run, const tuff_jinja_value *item, const tuff_jinja_value *in,
                         bool *out);
bool tuff_jinja_execute(tuff_jinja_run *run, const tuff_jinja_node *list);
/* Between the two, what is printed becomes a text; `good` false: it is dropped, and so is the result. */
typedef struct tuff_jinja_capture {
    tuff_buf outer;
} tuff_jinja_capture;
void tuff_jinja_capture_begin(tuff_jinja_run *run, tuff_jinja_capture *out_state);
bool tuff_jinja_capture_end(tuff_jinja_run *run, tuff_jinja_capture *state, bool good, tuff_jinja_value *out);
/* What a block prints, as text, in a scope of its own below the present one. */
bool tuff_jinja_print_text(tuff_jinja_run *run, const tuff_jinja_node *list, tuff_jinja_value *out);
/* The macro of a node, which sees the names of the present scope. */
bool tuff_jinja_macro_new(tuff_jinja_run *run, const tuff_jinja_node *node, tuff_jinja_value *out);
bool tuff_jinja_assign(tuff_jinja_run *run, const tuff_jinja_node *target, tuff_jinja_value value);
bool tuff_jinja_print(tuff_jinja_run *run, tuff_view text);
bool tuff_jinja_call(tuff_jinja_run *run, const tuff_jinja_value *function, const tuff_jinja_args *args,
                     tuff_jinja_value *out);
/* Evaluates the arguments of a call, a filter or a test; they live in the arena. */
bool tuff_jinja_arguments(tuff_jinja_run *run, const tuff_jinja_node *call, tuff_jinja_args *out);

/* Names. */
bool tuff_jinja_scope_push(tuff_jinja_run *run);
bool tuff_jinja_scope_set(tuff_jinja_run *run, uint32_t name, tuff_jinja_value value);
tuff_jinja_value tuff_jinja_lookup(const tuff_jinja_run *run, uint32_t name);

/* Members (member.c): x.name, x[key], x[a:b:c]; what is not there is undefined. */
bool tuff_jinja_attribute(tuff_jinja_run *run, const tuff_jinja_value *value, tuff_view name,
                          tuff_jinja_value *out);
bool tuff_jinja_item(tuff_jinja_run *run, const tuff_jinja_value *value, const tuff_jinja_value *key,
                     tuff_jinja_value *out);
bool tuff_jinja_slice(tuff_jinja_run *run, const tuff_jinja_value *value, const tuff_jinja_value *start,
                      const tuff_jinja_value *stop, const tuff_jinja_value *step, tuff_jinja_value *out);
/* "'x' is undefined", as a failure. */
bool tuff_jinja_fail_undefined(tuff_jinja_run *run, const tuff_jinja_value *value);
/* len(). */
bool tuff_jinja_length(tuff_jinja_run *run, const tuff_jinja_value *value, int64_t *out);
/* All items of what can be iterated, as a list; characters of texts, keys of dicts. An iterator is at its end
 * then. */
bool tuff_jinja_items(tuff_jinja_run *run, const tuff_jinja_value *value, tuff_jinja_list **out);

/* Filters, tests, functions and methods by name. */
bool tuff_jinja_filter(tuff_jinja_run *run, tuff_view name, const tuff_jinja_value *value,
                       const tuff_jinja_args *args, tuff_jinja_value *out);
bool tuff_jinja_test(tuff_jinja_run *run, tuff_view name, const tuff_jinja_value *value,
                     const tuff_jinja_args *args, bool *out);
bool tuff_jinja_global(tuff_view name, tuff_jinja_value *out);
bool tuff_jinja_call_global(tuff_jinja_run *run, size_t function, const tuff_jinja_args *args,
                            tuff_jinja_value *out);
bool tuff_jinja_find_method(tuff_jinja_run *run, const tuff_jinja_value *value, tuff_view name,
                            tuff_jinja_value *out); /* undefined: templates may not; MISSING: no such one */
bool tuff_jinja_call_method(tuff_jinja_run *run, const tuff_jinja_method *method, const tuff_jinja_args *args,
                            tuff_jinja_value *out);

/* Loops (loop.c). */
bool tuff_jinja_for(tuff_jinja_run *run, const tuff_jinja_node *node, const tuff_jinja_value *over,
                    const tuff_jinja_loop *outer);
bool tuff_jinja_loop_member(tuff_jinja_run *run, tuff_jinja_loop *loop, tuff_view name,
                            tuff_jinja_value *out);
bool tuff_jinja_loop_cycle(tuff_jinja_run *run, const tuff_jinja_loop *loop, const tuff_jinja_args *args,
                           tuff_jinja_value *out);
bool tuff_jinja_loop_changed(tuff_jinja_run *run, tuff_jinja_loop *loop, const tuff_jinja_args *args,
                             tuff_jinja_value *out);
bool tuff_jinja_call_loop(tuff_jinja_run *run, tuff_jinja_loop *loop, const tuff_jinja_args *args,
                          tuff_jinja_value *out);

#endif
