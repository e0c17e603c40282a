#include "ir/launch.h"

#include <string.h>

#include "ir/op.h"

bool tuff_row_fits(const tuff_node *node, const tuff_caps *caps, int index)
{
    const tuff_op_info *info = tuff_op_info_of(node->op);
    if (index < 0 || index >= info->n_rows || caps->quarantined[node->op] >> index & 1) return false;
    const tuff_kernel_row *row = &info->rows[index];
    return tuff_row_suits(row, caps) && (!row->match || row->match(node, caps));
}

int tuff_choose_row(const tuff_node *node, const tuff_caps *caps)
{
    int n_rows = tuff_op_info_of(node->op)->n_rows;
    for (int i = 0; i < n_rows; i++)
        if (tuff_row_fits(node, caps, i)) return i;
    return -1;
}

static bool same_kernel(const tuff_dispatch *a, const tuff_dispatch *b)
{
    return a->shader == b->shader && a->n_spec == b->n_spec &&
           memcmp(a->spec, b->spec, (size_t)a->n_spec * sizeof *a->spec) == 0;
}

bool tuff_launch_is_first(const tuff_launch *launch, size_t dispatch)
{
    for (size_t i = 0; i < dispatch; i++)
        if (same_kernel(launch->dispatches[i], launch->dispatches[dispatch])) return false;
    return true;
}

bool tuff_launch_is_first_of_shader(const tuff_launch *launch, size_t dispatch)
{
    for (size_t i = 0; i < dispatch; i++)
        if (launch->dispatches[i]->shader == launch->dispatches[dispatch]->shader) return false;
    return true;
}

static tuff_dispatch *last(tuff_launch *launch)
{
    return launch->failed || launch->n == 0 ? NULL : launch->dispatches[launch->n - 1];
}

/* Grows an array that lives in the arena; the old one is left behind. */
static bool arena_grow(tuff_arena *arena, void **items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity) return true;
    size_t larger = *capacity ? *capacity * 2 : 8;
    void *grown = tuff_arena_array(arena, larger, size);
    if (!grown) return false;
    if (count) memcpy(grown, *items, count * size);
    *items = grown;
    *capacity = larger;
    return true;
}

/* More parts than any memory holds: what asks for them has a shape that the memory plan would refuse. */
enum { MOST_DISPATCHES = 4096 };

void *tuff_launch_add(tuff_launch *launch, tuff_shader shader, uint32_t args_size)
{
    static _Thread_local uint64_t nowhere[TUFF_MAX_ARGS / 8]; /* for callers of a failed launch to write to */
    TUFF_ASSERT(args_size <= sizeof nowhere);
    bool full = launch->failed || launch->n == MOST_DISPATCHES;
    tuff_dispatch *d = full ? NULL : tuff_arena_alloc(launch->arena, sizeof *d);
    uint8_t *args = d ? tuff_arena_alloc(launch->arena, args_size) : NULL;
    if (!args || !arena_grow(launch->arena, (void **)&launch->dispatches, launch->n, &launch->capacity,
                             sizeof *launch->dispatches)) {
        launch->failed = true;
        return nowhere;
    }
    d->shader = shader;
    d->args = args;
    d->args_size = args_size;
    d->groups[0] = d->groups[1] = d->groups[2] = 1;
    launch->dispatches[launch->n++] = d;
    return args;
}

static void add_reloc(tuff_launch *launch, tuff_reloc **relocs, size_t *n, size_t *capacity, tuff_reloc reloc)
{
    if (!arena_grow(launch->arena, (void **)relocs, *n, capacity, sizeof **relocs)) {
        launch->failed = true;
        return;
    }
    (*relocs)[(*n)++] = reloc;
}

void tuff_launch_address(tuff_launch *launch, uint64_t *field, tuff_operand_kind kind, int index,
                         uint64_t offset)
{
    tuff_dispatch *d = last(launch);
    if (!d) return;
    ptrdiff_t at = (uint8_t *)field - d->args;
    TUFF_ASSERT(at >= 0 && (size_t)at + 8 <= d->args_size);
    add_reloc(launch, &d->relocs, &d->n_relocs, &d->relocs_capacity,
              (tuff_reloc){(uint32_t)at, (uint8_t)kind, (uint32_t)index, offset});
}

void tuff_launch_groups(tuff_launch *launch, uint64_t x, uint64_t y, uint64_t z)
{
    tuff_dispatch *d = last(launch);
    if (!d) return;
    if (x > UINT32_MAX || y > UINT32_MAX || z > UINT32_MAX) launch->failed = true;
    d->groups[0] = (uint32_t)x;
    d->groups[1] = (uint32_t)y;
    d->groups[2] = (uint32_t)z;
}

void tuff_launch_groups_1d(tuff_launch *launch, const tuff_caps *caps, uint64_t groups)
{
    uint64_t width = caps->max_groups[0] < 65535 ? caps->max_groups[0] : 65535;
    if (groups <= width) {
        tuff_launch_groups(launch, groups, 1, 1);
        return;
    }
    /* rows of equal width: shaders test their index, so the few groups past the end do nothing */
    uint64_t rows = (groups + width - 1) / width;
    tuff_launch_groups(launch, (groups + rows - 1) / rows, rows, 1);
}

void tuff_launch_spec(tuff_launch *launch, uint32_t value)
{
    tuff_dispatch *d = last(launch);
    if (!d) return;
    TUFF_ASSERT(d->n_spec < TUFF_MAX_SPEC);
    d->spec[d->n_spec++] = value;
}

void tuff_launch_after(tuff_launch *launch)
{
    tuff_dispatch *d = last(launch);
    if (d) d->after = true;
}

uint64_t tuff_launch_scratch(tuff_launch *launch, uint64_t bytes)
{
    uint64_t at = launch->scratch_bytes;
    launch->scratch_bytes = (at + bytes + 63) / 64 * 64;
    return at;
}

void *tuff_launch_data(tuff_launch *launch, size_t size)
{
    if (launch->failed) return NULL;
    launch->data = tuff_arena_alloc(launch->arena, size);
    launch->data_size = size;
    if (!launch->data) launch->failed = true;
    return launch->data;
}

void tuff_launch_data_address(tuff_launch *launch, uint64_t *field, tuff_operand_kind kind, int index,
                              uint64_t offset)
{
    if (launch->failed) return;
    ptrdiff_t at = (uint8_t *)field - launch->data;
    TUFF_ASSERT(at >= 0 && (size_t)at + 8 <= launch->data_size);
    add_reloc(launch, &launch->data_relocs, &launch->n_data_relocs, &launch->data_relocs_capacity,
              (tuff_reloc){(uint32_t)at, (uint8_t)kind, (uint32_t)index, offset});
}

int tuff_launch_list(tuff_launch *launch, const tuff_work_list *list)
{
    TUFF_ASSERT(launch->n_lists < TUFF_MAX_LISTS && list->words > 0 && list->capacity > 0);
    launch->lists[launch->n_lists] = *list;
    return launch->n_lists++;
}
