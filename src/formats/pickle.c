/* The machine: https://github.com/python/cpython/blob/main/Lib/pickletools.py describes each opcode. A stack
 * of values, a stack of marks in it, and a memo of values to be used again. */
#include "formats/pickle.h"

#include <stdio.h>
#include <string.h>

enum { VALUES_LIMIT = 1 << 22, NAME_LIMIT = 256 };

static const struct {
    const char *module, *name;
} names[] = {
#define TUFF_PICKLE_NAME(id, module, name) {module, name},
#include "formats/pickle_names.def"
};

typedef struct machine {
    const uint8_t *data;
    size_t size, at;
    const char *where;
    tuff_arena *arena;
    size_t values;        /* how many were made */
    tuff_pickled **stack; /* not const: dictionaries grow */
    size_t depth, stack_capacity;
    size_t *marks; /* depths of the stack */
    size_t mark_count, mark_capacity;
    tuff_pickled **memo;
    size_t memo_count, memo_capacity;
} machine;

static tuff_status bad(const machine *m, const char *what)
{
    return tuff_fail(TUFF_BAD_FORMAT, "%s: byte %zu: %s: the file is corrupted", m->where, m->at, what);
}

static tuff_status take(machine *m, size_t bytes, const uint8_t **out)
{
    *out = m->data + m->at;
    if (bytes > m->size - m->at) return bad(m, "the pickle ends early");
    m->at += bytes;
    return TUFF_OK;
}

/* A whole number of `bytes` bytes, without sign. */
static tuff_status take_number(machine *m, size_t bytes, uint64_t *out)
{
    const uint8_t *at;
    *out = 0;
    TUFF_TRY(take(m, bytes, &at));
    while (bytes-- > 0)
        *out = *out << 8 | at[bytes];
    return TUFF_OK;
}

static tuff_status make(machine *m, tuff_pickled_kind kind, tuff_pickled **out)
{
    if (m->values == VALUES_LIMIT)
        return tuff_fail(TUFF_UNSUPPORTED, "%s: the pickle has more than %d values", m->where, VALUES_LIMIT);
    *out = tuff_arena_alloc(m->arena, sizeof **out);
    if (!*out) return tuff_fail_memory("a pickle");
    (*out)->kind = kind;
    m->values++;
    return TUFF_OK;
}

static tuff_status push(machine *m, tuff_pickled *value)
{
    if (!tuff_grow((void **)&m->stack, m->depth, &m->stack_capacity, sizeof(tuff_pickled *)))
        return tuff_fail_memory("a pickle");
    m->stack[m->depth++] = value;
    return TUFF_OK;
}

static tuff_status push_new(machine *m, tuff_pickled_kind kind, int64_t integer)
{
    tuff_pickled *value;
    TUFF_TRY(make(m, kind, &value));
    if (kind == TUFF_PICKLED_INT || kind == TUFF_PICKLED_BOOL) value->is.integer = integer;
    return push(m, value);
}

/* Values above the last mark, or above the bottom, may be taken; what lies below belongs to who set it. */
static size_t floor_of(const machine *m)
{
    return m->mark_count ? m->marks[m->mark_count - 1] : 0;
}

static tuff_status pop(machine *m, tuff_pickled **out)
{
    *out = NULL;
    if (m->depth <= floor_of(m)) return bad(m, "an operation finds too few values");
    *out = m->stack[--m->depth];
    return TUFF_OK;
}

/* Takes the last mark; the values above it are stack[*out_first .. depth). */
static tuff_status pop_mark(machine *m, size_t *out_first)
{
    *out_first = 0;
    if (m->mark_count == 0) return bad(m, "an operation finds no mark");
    *out_first = m->marks[--m->mark_count];
    return TUFF_OK;
}

static tuff_status top(const machine *m, tuff_pickled_kind kind, tuff_pickled **out)
{
    *out = m->depth > floor_of(m) ? m->stack[m->depth - 1] : NULL;
    return *out && (*out)->kind == kind ? TUFF_OK : bad(m, "items are put into something else than expected");
}

/* The values stack[first .. depth) become a tuple. */
static tuff_status make_tuple(machine *m, size_t first)
{
    tuff_pickled *tuple;
    const size_t count = m->depth - first;
    TUFF_TRY(make(m, TUFF_PICKLED_TUPLE, &tuple));
    const tuff_pickled **items = tuff_arena_array(m->arena, count, sizeof(tuff_pickled *));
    if (!items) return tuff_fail_memory("a pickle");
    for (size_t i = 0; i < count; i++)
        items[i] = m->stack[first + i];
    tuple->is.tuple.items = items;
    tuple->is.tuple.count = count;
    m->depth = first;
    return push(m, tuple);
}

static tuff_status short_tuple(machine *m, size_t count)
{
    if (m->depth - floor_of(m) < count) return bad(m, "an operation finds too few values");
    return make_tuple(m, m->depth - count);
}

/* The values stack[first .. depth), keys and values by turns, go into the dictionary below them. */
static tuff_status set_items(machine *m, size_t first)
{
    const size_t end = m->depth;
    tuff_pickled *dict;
    if ((end - first) % 2 != 0) return bad(m, "a dictionary is given a key without a value");
    m->depth = first;
    TUFF_TRY(top(m, TUFF_PICKLED_DICT, &dict));
    for (size_t i = first; i < end; i += 2) {
        tuff_pickled_entry *entry = tuff_arena_alloc(m->arena, sizeof *entry);
        if (!entry) return tuff_fail_memory("a pickle");
        *entry = (tuff_pickled_entry){.key = m->stack[i], .value = m->stack[i + 1]};
        if (dict->is.dict.last)
            dict->is.dict.last->next = entry;
        else
            dict->is.dict.first = entry;
        dict->is.dict.last = entry;
    }
    return TUFF_OK;
}

static tuff_status remember(machine *m, uint64_t index)
{
    if (m->depth <= floor_of(m)) return bad(m, "there is no value to remember");
    if (index > m->memo_count) return bad(m, "values are not remembered in order");
    if (index == m->memo_count) {
        if (!tuff_grow((void **)&m->memo, m->memo_count, &m->memo_capacity, sizeof(tuff_pickled *)))
            return tuff_fail_memory("a pickle");
        m->memo_count++;
    }
    m->memo[index] = m->stack[m->depth - 1];
    return TUFF_OK;
}

static tuff_status recall(machine *m, uint64_t index)
{
    if (index >= m->memo_count) return bad(m, "a value is used that was not remembered");
    return push(m, m->memo[index]);
}

static tuff_status take_text(machine *m, size_t length_bytes)
{
    uint64_t length;
    const uint8_t *bytes;
    tuff_pickled *text;
    TUFF_TRY(take_number(m, length_bytes, &length));
    if (length > m->size) return bad(m, "a text is longer than the pickle");
    TUFF_TRY(take(m, (size_t)length, &bytes));
    TUFF_TRY(make(m, TUFF_PICKLED_TEXT, &text));
    text->is.text = (tuff_view){(const char *)bytes, (size_t)length};
    return push(m, text);
}

/* A number of `bytes` bytes with a sign. */
static tuff_status take_integer(machine *m, size_t bytes)
{
    uint64_t value;
    if (bytes > 8)
        return tuff_fail(TUFF_UNSUPPORTED, "%s: byte %zu: a number of %zu bytes; at most 8 are read",
                         m->where, m->at, bytes);
    TUFF_TRY(take_number(m, bytes, &value));
    if (bytes > 0 && bytes < 8 && value >> (8 * bytes - 1)) value -= UINT64_C(1) << (8 * bytes);
    int64_t integer;
    memcpy(&integer, &value, sizeof integer);
    return push_new(m, TUFF_PICKLED_INT, integer);
}

static tuff_status take_long(machine *m)
{
    uint64_t bytes;
    TUFF_TRY(take_number(m, 1, &bytes));
    return take_integer(m, (size_t)bytes);
}

static tuff_status take_line(machine *m, tuff_view *out)
{
    const uint8_t *begin = m->data + m->at;
    const uint8_t *end = memchr(begin, '\n', m->size - m->at);
    if (!end || end - begin > NAME_LIMIT) return bad(m, "a name does not end");
    *out = (tuff_view){(const char *)begin, (size_t)(end - begin)};
    m->at += out->size + 1;
    return TUFF_OK;
}

static bool printable(tuff_view text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] < 0x20 || text.data[i] > 0x7e) return false;
    return true;
}

static tuff_status take_name(machine *m)
{
    tuff_view module, name;
    TUFF_TRY(take_line(m, &module));
    TUFF_TRY(take_line(m, &name));
    for (size_t i = 0; i < TUFF_PICKLE_NAME_COUNT; i++) {
        if (!tuff_view_is(module, names[i].module) || !tuff_view_is(name, names[i].name)) continue;
        tuff_pickled *value;
        TUFF_TRY(make(m, TUFF_PICKLED_NAME, &value));
        value->is.name = (tuff_pickle_name)i;
        return push(m, value);
    }
    if (!printable(module) || !printable(name)) return bad(m, "a name is no printable text");
    return tuff_fail(
        TUFF_UNSUPPORTED,
        "%s: it asks for %.*s.%.*s: refused, nothing in it is executed; tensors in dictionaries are read. "
        "If you trust the file, load it in PyTorch and save its state_dict as safetensors",
        m->where, (int)module.size, module.data, (int)name.size, name.data);
}

/* ("storage", torch.FloatStorage, "0", "cpu", 12) */
static tuff_status take_storage(machine *m)
{
    tuff_pickled *id, *value;
    TUFF_TRY(pop(m, &id));
    const tuff_pickled *const *items = id->is.tuple.items;
    if (id->kind != TUFF_PICKLED_TUPLE || id->is.tuple.count != 5 || items[0]->kind != TUFF_PICKLED_TEXT ||
        !tuff_view_is(items[0]->is.text, "storage") || items[1]->kind != TUFF_PICKLED_NAME ||
        items[1]->is.name < TUFF_PICKLE_STORAGE_FloatStorage || items[2]->kind != TUFF_PICKLED_TEXT ||
        items[4]->kind != TUFF_PICKLED_INT || items[4]->is.integer < 0)
        return bad(m, "what is kept outside of the pickle is no storage of a tensor");
    TUFF_TRY(make(m, TUFF_PICKLED_STORAGE, &value));
    value->is.storage.type = items[1]->is.name;
    value->is.storage.key = items[2]->is.text;
    value->is.storage.elements = items[4]->is.integer;
    return push(m, value);
}

static bool are_sizes(const tuff_pickled *value)
{
    if (value->kind != TUFF_PICKLED_TUPLE) return false;
    for (size_t i = 0; i < value->is.tuple.count; i++)
        if (value->is.tuple.items[i]->kind != TUFF_PICKLED_INT || value->is.tuple.items[i]->is.integer < 0)
            return false;
    return true;
}

/* (storage, offset, shape, strides, requires_grad, hooks), and, from newer versions, metadata */
static tuff_status make_tensor(machine *m, const tuff_pickled *args)
{
    const tuff_pickled *const *a = args->is.tuple.items;
    tuff_pickled *value;
    if (args->is.tuple.count < 6 || args->is.tuple.count > 7 || a[0]->kind != TUFF_PICKLED_STORAGE ||
        a[1]->kind != TUFF_PICKLED_INT || a[1]->is.integer < 0 || !are_sizes(a[2]) || !are_sizes(a[3]) ||
        a[2]->is.tuple.count != a[3]->is.tuple.count)
        return bad(m, "a tensor is not made of a storage, an offset, a shape and strides");
    TUFF_TRY(make(m, TUFF_PICKLED_TENSOR, &value));
    value->is.tensor.storage = a[0];
    value->is.tensor.offset = a[1]->is.integer;
    value->is.tensor.shape = a[2];
    value->is.tensor.strides = a[3];
    return push(m, value);
}

static tuff_status call(machine *m)
{
    tuff_pickled *args, *function;
    TUFF_TRY(pop(m, &args));
    TUFF_TRY(pop(m, &function));
    if (function->kind != TUFF_PICKLED_NAME || args->kind != TUFF_PICKLED_TUPLE)
        return bad(m, "something is called that cannot be");
    const size_t count = args->is.tuple.count;
    const tuff_pickled *const *items = args->is.tuple.items;
    switch (function->is.name) {
    case TUFF_PICKLE_ORDERED_DICT:
        if (count != 0) return bad(m, "an OrderedDict is made of something");
        return push_new(m, TUFF_PICKLED_DICT, 0);
    case TUFF_PICKLE_TENSOR:
        return make_tensor(m, args);
    case TUFF_PICKLE_PARAMETER: /* (tensor, requires_grad, hooks) */
        if (count != 3 || items[0]->kind != TUFF_PICKLED_TENSOR)
            return bad(m, "a parameter is made of no tensor");
        return push(m, (tuff_pickled *)(uintptr_t)items[0]);
    default:
        return bad(m, "something is called that cannot be");
    }
}

/* What a module's state_dict says beside its tensors is passed over. */
static tuff_status build(machine *m)
{
    tuff_pickled *state, *object;
    TUFF_TRY(pop(m, &state));
    if (state->kind != TUFF_PICKLED_DICT) return bad(m, "the attributes of an object are no dictionary");
    return top(m, TUFF_PICKLED_DICT, &object);
}

static tuff_status drop_items(machine *m, size_t first)
{
    tuff_pickled *list;
    m->depth = first;
    return top(m, TUFF_PICKLED_LIST, &list);
}

/* The opcodes that torch.save writes, by the letters of Python's pickletools. */
static tuff_status step(machine *m, uint8_t op)
{
    uint64_t number;
    size_t first;
    const uint8_t *bytes;
    tuff_pickled *value;
    switch (op) {
    case 0x80: /* PROTO */
        TUFF_TRY(take_number(m, 1, &number));
        if (number == 2) return TUFF_OK;
        return tuff_fail(TUFF_UNSUPPORTED, "%s: it is a pickle of protocol %u; torch.save writes 2", m->where,
                         (unsigned)number);
    case '(': /* MARK */
        if (!tuff_grow((void **)&m->marks, m->mark_count, &m->mark_capacity, sizeof *m->marks))
            return tuff_fail_memory("a pickle");
        m->marks[m->mark_count++] = m->depth;
        return TUFF_OK;
    case 'N':
        return push_new(m, TUFF_PICKLED_NONE, 0);
    case 0x88: /* NEWTRUE, NEWFALSE */
    case 0x89:
        return push_new(m, TUFF_PICKLED_BOOL, op == 0x88);
    case 'J': /* BININT */
        return take_integer(m, 4);
    case 'K': /* BININT1, BININT2: without sign */
    case 'M':
        TUFF_TRY(take_number(m, op == 'K' ? 1 : 2, &number));
        return push_new(m, TUFF_PICKLED_INT, (int64_t)number);
    case 0x8a: /* LONG1 */
        return take_long(m);
    case 'G': /* BINFLOAT */
        TUFF_TRY(take(m, 8, &bytes));
        return push_new(m, TUFF_PICKLED_FLOAT, 0);
    case 'X': /* BINUNICODE */
        return take_text(m, 4);
    case 'U': /* SHORT_BINSTRING */
        return take_text(m, 1);
    case 'c': /* GLOBAL */
        return take_name(m);
    case 'Q': /* BINPERSID */
        return take_storage(m);
    case 'R': /* REDUCE */
        return call(m);
    case 'b': /* BUILD */
        return build(m);
    case '}':
        return push_new(m, TUFF_PICKLED_DICT, 0);
    case ']':
        return push_new(m, TUFF_PICKLED_LIST, 0);
    case ')':
        return make_tuple(m, m->depth);
    case 't': /* TUPLE */
        TUFF_TRY(pop_mark(m, &first));
        return make_tuple(m, first);
    case 0x85: /* TUPLE1, TUPLE2, TUPLE3 */
    case 0x86:
    case 0x87:
        return short_tuple(m, op - 0x84u);
    case 's': /* SETITEM */
        if (m->depth - floor_of(m) < 3) return bad(m, "an operation finds too few values");
        return set_items(m, m->depth - 2);
    case 'u': /* SETITEMS */
        TUFF_TRY(pop_mark(m, &first));
        return set_items(m, first);
    case 'a': /* APPEND */
        TUFF_TRY(pop(m, &value));
        return top(m, TUFF_PICKLED_LIST, &value);
    case 'e': /* APPENDS */
        TUFF_TRY(pop_mark(m, &first));
        return drop_items(m, first);
    case 'q': /* BINPUT, LONG_BINPUT */
    case 'r':
        TUFF_TRY(take_number(m, op == 'q' ? 1 : 4, &number));
        return remember(m, number);
    case 'h': /* BINGET, LONG_BINGET */
    case 'j':
        TUFF_TRY(take_number(m, op == 'h' ? 1 : 4, &number));
        return recall(m, number);
    default:
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s: byte %zu: the opcode 0x%02x is none of those that torch.save writes", m->where,
                         m->at - 1, op);
    }
}

tuff_status tuff_pickle_read(const uint8_t *data, size_t size, const char *where, tuff_arena *arena,
                             const tuff_pickled **out_value)
{
    tuff_status status;
    machine m = {.data = data, .size = size, .where = where, .arena = arena};
    tuff_pickled *value = NULL;
    *out_value = NULL;
    for (;;) {
        uint64_t op;
        TUFF_GO(take_number(&m, 1, &op));
        if (op == '.') break;
        TUFF_GO(step(&m, (uint8_t)op));
    }
    TUFF_GO(pop(&m, &value));
    if (m.depth != 0 || m.mark_count != 0) TUFF_GO(bad(&m, "values are left over"));
    *out_value = value;
done:
    tuff_free(m.stack);
    tuff_free(m.marks);
    tuff_free(m.memo);
    return status;
}
