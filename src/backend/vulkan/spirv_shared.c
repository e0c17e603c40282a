/* How much shared memory a module takes under given specialization constants: the lengths of its arrays are
 * computed as the driver will (Khronos, "SPIR-V Specification", 2.3 and 3.49). */
#include "backend/vulkan/spirv_reflect.h"

#include "base/memory.h"
#include "base/status.h"

enum {
    OP_TYPE_BOOL = 20,
    OP_TYPE_INT = 21,
    OP_TYPE_FLOAT = 22,
    OP_TYPE_VECTOR = 23,
    OP_TYPE_MATRIX = 24,
    OP_TYPE_ARRAY = 28,
    OP_TYPE_STRUCT = 30,
    OP_TYPE_POINTER = 32,
    OP_CONSTANT = 43,
    OP_SPEC_CONSTANT = 50,
    OP_SPEC_CONSTANT_OP = 52,
    OP_VARIABLE = 59,
    OP_DECORATE = 71
};
enum { I_ADD = 128, I_SUB = 130, I_MUL = 132, U_DIV = 134, S_DIV = 135, SHIFT_RIGHT = 194, SHIFT_LEFT = 196 };
enum { SPEC_ID = 1, WORKGROUP = 4 };

/* What is known of an id: a constant's value, a type's size, a pointer type's target. */
typedef struct fact {
    uint64_t value;
    uint32_t spec; /* 1 + its specialization id; 0: none */
    bool known;
} fact;

typedef struct facts {
    fact *of;
    uint32_t bound;
} facts;

static fact look(const facts *f, uint32_t id)
{
    return id < f->bound ? f->of[id] : (fact){0};
}

static void learn(const facts *f, uint32_t id, uint64_t value, bool known)
{
    if (id >= f->bound) return;
    f->of[id].value = value;
    f->of[id].known = known && value < UINT32_MAX;
}

static void compute(const facts *f, const uint32_t *w)
{
    fact a = look(f, w[4]), b = look(f, w[5]);
    bool known = a.known && b.known;
    uint64_t value = 0;
    switch (w[3]) {
    case I_ADD:
        value = a.value + b.value;
        break;
    case I_SUB:
        known = known && a.value >= b.value;
        value = a.value - b.value;
        break;
    case I_MUL:
        value = a.value * b.value;
        break;
    case U_DIV:
    case S_DIV:
        known = known && b.value != 0;
        value = known ? a.value / b.value : 0;
        break;
    case SHIFT_RIGHT:
        value = a.value >> (b.value & 31);
        break;
    case SHIFT_LEFT:
        value = a.value << (b.value & 31);
        break;
    default:
        known = false;
    }
    learn(f, w[2], value, known);
}

static void read_type(const facts *f, const uint32_t *w, uint32_t n)
{
    switch (w[0] & 0xffff) {
    case OP_TYPE_BOOL:
        learn(f, w[1], 4, true);
        break;
    case OP_TYPE_INT:
    case OP_TYPE_FLOAT:
        if (n >= 3) learn(f, w[1], w[2] / 8, true);
        break;
    case OP_TYPE_VECTOR:
    case OP_TYPE_MATRIX:
        if (n >= 4) learn(f, w[1], look(f, w[2]).value * w[3], look(f, w[2]).known && w[3] < 64);
        break;
    case OP_TYPE_ARRAY:
        if (n >= 4)
            learn(f, w[1], look(f, w[2]).value * look(f, w[3]).value,
                  look(f, w[2]).known && look(f, w[3]).known);
        break;
    case OP_TYPE_STRUCT: {
        uint64_t sum = 0;
        bool known = true;
        for (uint32_t i = 2; i < n; i++) {
            sum += look(f, w[i]).value;
            known = known && look(f, w[i]).known;
        }
        learn(f, w[1], sum, known);
        break;
    }
    case OP_TYPE_POINTER:
        if (n >= 4) learn(f, w[1], w[3], true);
        break;
    default:
        break;
    }
}

static bool read_instruction(const facts *f, const uint32_t *w, uint32_t n, const tuff_dispatch *dispatch,
                             uint64_t *sum)
{
    uint32_t op = w[0] & 0xffff;
    if (op == OP_DECORATE && n >= 4 && w[2] == SPEC_ID) {
        if (w[1] < f->bound) f->of[w[1]].spec = w[3] < TUFF_MAX_SPEC ? w[3] + 1 : 0;
    } else if (op == OP_CONSTANT && n >= 4) {
        learn(f, w[2], w[3], n == 4);
    } else if (op == OP_SPEC_CONSTANT && n >= 4) {
        uint32_t id = look(f, w[2]).spec;
        learn(f, w[2], id != 0 && (int)id <= dispatch->n_spec ? dispatch->spec[id - 1] : w[3], n == 4);
    } else if (op == OP_SPEC_CONSTANT_OP && n == 6) {
        compute(f, w);
    } else if (op == OP_VARIABLE && n >= 4 && w[3] == WORKGROUP) {
        fact type = look(f, (uint32_t)look(f, w[1]).value);
        *sum += type.value;
        return type.known;
    } else if (n >= 2) {
        read_type(f, w, n);
    }
    return true;
}

tuff_status tuff_spirv_shared_bytes(const uint32_t *words, size_t n_words, const tuff_dispatch *dispatch,
                                    uint64_t *out)
{
    *out = 0;
    facts f = {.bound = words[3]};
    f.of = tuff_alloc_array(f.bound, sizeof *f.of);
    if (!f.of) return tuff_fail_memory("a SPIR-V module's ids");
    bool known = true;
    for (size_t at = 5; at < n_words && known; at += words[at] >> 16)
        known = read_instruction(&f, &words[at], words[at] >> 16, dispatch, out);
    tuff_free(f.of);
    if (known) return TUFF_OK;
    return tuff_fail(TUFF_BAD_FORMAT,
                     "a SPIR-V module has shared memory of a length that cannot be computed");
}
