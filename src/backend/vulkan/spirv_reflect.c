/* A reader of SPIR-V's declarations (Khronos, "SPIR-V Specification", 2.3 and 3): just enough to hold the C
 * side of a kernel to what its module says. */
#include "backend/vulkan/spirv_reflect.h"

#include <string.h>

#include "base/memory.h"
#include "base/status.h"

enum {
    OP_EXECUTION_MODE = 16,
    OP_CAPABILITY = 17,
    OP_TYPE_INT = 21,
    OP_TYPE_FLOAT = 22,
    OP_TYPE_ARRAY = 28,
    OP_TYPE_STRUCT = 30,
    OP_TYPE_POINTER = 32,
    OP_CONSTANT = 43,
    OP_SPEC_CONSTANT_TRUE = 48,
    OP_SPEC_CONSTANT_FALSE = 49,
    OP_SPEC_CONSTANT = 50,
    OP_SPEC_CONSTANT_COMPOSITE = 51,
    OP_VARIABLE = 59,
    OP_LOAD = 61,
    OP_DECORATE = 71,
    OP_MEMBER_DECORATE = 72
};
enum {
    MODE_LOCAL_SIZE = 17,
    DECORATION_SPEC_ID = 1,
    DECORATION_ARRAY_STRIDE = 6,
    DECORATION_BUILTIN = 11,
    DECORATION_OFFSET = 35,
    BUILTIN_WORKGROUP_SIZE = 25,
    STORAGE_PUSH_CONSTANT = 9,
    STORAGE_PHYSICAL = 5349,
    ALIGNED = 2
};
enum { MAGIC = 0x07230203, MAX_BOUND = 1 << 20, MAX_DEPTH = 8, NONE = 0xffffffff };

/* What is known of an id. */
typedef struct item {
    const uint32_t *declaration; /* the instruction that makes it, NULL: not met */
    uint32_t n_words;            /* of the declaration */
    uint32_t spec_id;            /* NONE: not decorated */
    uint32_t array_stride;
    bool workgroup_size;
} item;

typedef struct reader {
    const uint32_t *words;
    size_t n_words;
    uint32_t bound;
    item *items;
    tuff_spirv_info *info;
} reader;

static item *get(const reader *r, uint32_t id)
{
    return id < r->bound ? &r->items[id] : NULL;
}

static uint32_t opcode(const item *x)
{
    return x && x->declaration ? x->declaration[0] & 0xffff : 0;
}

static tuff_status malformed(const char *what)
{
    return tuff_fail(TUFF_BAD_FORMAT, "a SPIR-V module is malformed: %s", what);
}

/* Word indices of the result id, and the least length, of the instructions kept. */
static bool is_declaration(uint32_t op, uint32_t *out_result, uint32_t *out_least)
{
    switch (op) {
    case OP_TYPE_INT:
        *out_result = 1, *out_least = 4;
        return true;
    case OP_TYPE_FLOAT:
        *out_result = 1, *out_least = 3;
        return true;
    case OP_TYPE_ARRAY:
        *out_result = 1, *out_least = 4;
        return true;
    case OP_TYPE_STRUCT:
        *out_result = 1, *out_least = 2;
        return true;
    case OP_TYPE_POINTER:
        *out_result = 1, *out_least = 4;
        return true;
    case OP_CONSTANT:
    case OP_SPEC_CONSTANT:
        *out_result = 2, *out_least = 4;
        return true;
    case OP_SPEC_CONSTANT_TRUE:
    case OP_SPEC_CONSTANT_FALSE:
        *out_result = 2, *out_least = 3;
        return true;
    case OP_SPEC_CONSTANT_COMPOSITE:
        *out_result = 2, *out_least = 3;
        return true;
    case OP_VARIABLE:
        *out_result = 2, *out_least = 4;
        return true;
    default:
        return false;
    }
}

static tuff_status scan_instruction(reader *r, const uint32_t *w, uint32_t n)
{
    tuff_spirv_info *info = r->info;
    uint32_t op = w[0] & 0xffff, result, least;
    if (op == OP_CAPABILITY && n >= 2) {
        if (info->n_capabilities == TUFF_SPIRV_MAX_CAPABILITIES) return malformed("too many capabilities");
        info->capabilities[info->n_capabilities++] = w[1];
    } else if (op == OP_EXECUTION_MODE && n >= 6 && w[2] == MODE_LOCAL_SIZE) {
        memcpy(info->local_size, &w[3], sizeof info->local_size);
    } else if (op == OP_DECORATE && n >= 3) {
        item *x = get(r, w[1]);
        if (!x) return malformed("a decorated id is out of bounds");
        if (w[2] == DECORATION_SPEC_ID && n >= 4) x->spec_id = w[3];
        if (w[2] == DECORATION_ARRAY_STRIDE && n >= 4) x->array_stride = w[3];
        if (w[2] == DECORATION_BUILTIN && n >= 4) x->workgroup_size |= w[3] == BUILTIN_WORKGROUP_SIZE;
    } else if (op == OP_LOAD && n >= 6 && (w[4] & ALIGNED)) {
        const item *type = get(r, w[1]);
        if (opcode(type) == OP_TYPE_POINTER && type->declaration[2] == STORAGE_PHYSICAL && w[5] < 8)
            return malformed(
                "an address is loaded as if it were not aligned to 8; load the struct that holds it");
    } else if (is_declaration(op, &result, &least)) {
        if (n < least) return malformed("a declaration is too short");
        item *x = get(r, w[result]);
        if (!x) return malformed("an id is out of bounds");
        x->declaration = w;
        x->n_words = n;
    }
    return TUFF_OK;
}

static tuff_status scan(reader *r)
{
    for (size_t at = 5; at < r->n_words;) {
        uint32_t n = r->words[at] >> 16;
        if (n == 0 || n > r->n_words - at) return malformed("an instruction runs past the end");
        TUFF_TRY(scan_instruction(r, &r->words[at], n));
        at += n;
    }
    return TUFF_OK;
}

/* The offset of a struct's member: in the decorations, which are few, so they are searched each time. */
static uint32_t member_offset(const reader *r, uint32_t structure, uint32_t member)
{
    for (size_t at = 5; at < r->n_words; at += r->words[at] >> 16) {
        const uint32_t *w = &r->words[at];
        if ((w[0] & 0xffff) == OP_MEMBER_DECORATE && w[0] >> 16 >= 5 && w[1] == structure && w[2] == member &&
            w[3] == DECORATION_OFFSET)
            return w[4];
    }
    return NONE;
}

static tuff_status add_member(reader *r, uint32_t offset, uint32_t bytes, bool address)
{
    tuff_spirv_info *info = r->info;
    if (info->n_members == TUFF_SPIRV_MAX_MEMBERS) return malformed("its arguments have too many members");
    info->members[info->n_members++] = (tuff_spirv_member){offset, bytes, address};
    return TUFF_OK;
}

static tuff_status add_members(reader *r, uint32_t type, uint64_t offset, int depth)
{
    const item *x = get(r, type);
    if (depth > MAX_DEPTH || offset > 1 << 16) return malformed("its arguments are too large");
    switch (opcode(x)) {
    case OP_TYPE_INT:
    case OP_TYPE_FLOAT:
        return add_member(r, (uint32_t)offset, x->declaration[2] / 8, false);
    case OP_TYPE_POINTER:
        if (x->declaration[2] != STORAGE_PHYSICAL)
            return malformed("its arguments hold a pointer that is no address");
        return add_member(r, (uint32_t)offset, 8, true);
    case OP_TYPE_ARRAY: {
        const item *length = get(r, x->declaration[3]);
        if (opcode(length) != OP_CONSTANT || length->declaration[3] > TUFF_SPIRV_MAX_MEMBERS)
            return malformed("an array of its arguments has no constant length, or a large one");
        for (uint32_t i = 0; i < length->declaration[3]; i++)
            TUFF_TRY(add_members(r, x->declaration[2], offset + (uint64_t)i * x->array_stride, depth + 1));
        return TUFF_OK;
    }
    case OP_TYPE_STRUCT:
        for (uint32_t i = 0; i + 2 < x->n_words; i++) {
            uint32_t inside = member_offset(r, type, i);
            if (inside == NONE) return malformed("a member of its arguments has no offset");
            TUFF_TRY(add_members(r, x->declaration[2 + i], offset + inside, depth + 1));
        }
        return TUFF_OK;
    default:
        return malformed("its arguments hold a type that C does not have");
    }
}

/* The struct behind a pointer type, if it has a single member; else 0. */
static uint32_t only_member(const reader *r, uint32_t pointer)
{
    const item *p = get(r, pointer);
    if (opcode(p) != OP_TYPE_POINTER) return 0;
    const item *block = get(r, p->declaration[3]);
    return opcode(block) == OP_TYPE_STRUCT && block->n_words == 3 ? block->declaration[2] : 0;
}

static tuff_status read_args(reader *r)
{
    tuff_spirv_info *info = r->info;
    for (uint32_t id = 0; id < r->bound; id++) {
        const item *x = &r->items[id];
        if (opcode(x) != OP_VARIABLE || x->declaration[3] != STORAGE_PUSH_CONSTANT) continue;
        uint32_t type = only_member(r, x->declaration[1]);
        if (opcode(get(r, type)) != OP_TYPE_STRUCT) return malformed("its arguments are no struct");
        TUFF_TRY(add_members(r, type, 0, 0));
        info->has_args = true;
    }
    uint32_t align = 1;
    for (size_t i = 0; i < info->n_members; i++) {
        const tuff_spirv_member *m = &info->members[i];
        if (m->offset + m->bytes > info->args_bytes) info->args_bytes = m->offset + m->bytes;
        if (m->bytes > align) align = m->bytes;
    }
    info->args_bytes = (info->args_bytes + align - 1) / align * align;
    return TUFF_OK;
}

static tuff_status read_constants(reader *r)
{
    tuff_spirv_info *info = r->info;
    for (uint32_t id = 0; id < r->bound; id++) {
        const item *x = &r->items[id];
        if (x->spec_id != NONE) {
            if (x->spec_id >= TUFF_MAX_SPEC) return malformed("a specialization id is too large");
            info->spec_ids |= 1u << x->spec_id;
        }
        if (!x->workgroup_size || opcode(x) != OP_SPEC_CONSTANT_COMPOSITE || x->n_words != 6) continue;
        for (int axis = 0; axis < 3; axis++) {
            const item *part = get(r, x->declaration[3 + axis]);
            if (opcode(part) != OP_SPEC_CONSTANT && opcode(part) != OP_CONSTANT)
                return malformed("its workgroup size is no constant");
            info->local_size[axis] = part->declaration[3];
            if (part->spec_id != NONE) info->local_size_spec[axis] = part->spec_id;
        }
    }
    return TUFF_OK;
}

tuff_status tuff_spirv_reflect(const uint32_t *words, size_t n_words, tuff_spirv_info *out)
{
    memset(out, 0, sizeof *out);
    for (int axis = 0; axis < 3; axis++)
        out->local_size_spec[axis] = TUFF_SPIRV_NO_SPEC;
    if (n_words < 5 || words[0] != MAGIC) return malformed("it does not begin like one");
    if (words[3] == 0 || words[3] > MAX_BOUND) return malformed("its bound is out of range");
    reader r = {.words = words, .n_words = n_words, .bound = words[3], .info = out};
    r.items = tuff_alloc_array(r.bound, sizeof *r.items);
    if (!r.items) return tuff_fail_memory("a SPIR-V module's ids");
    for (uint32_t i = 0; i < r.bound; i++)
        r.items[i].spec_id = NONE;
    tuff_status status = TUFF_OK;
    TUFF_GO(scan(&r));
    TUFF_GO(read_args(&r));
    TUFF_GO(read_constants(&r));
done:
    tuff_free(r.items);
    return status;
}
