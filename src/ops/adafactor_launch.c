/* Device kernels of Adafactor: four dispatches over tables of bands of rows and strips of columns. */
#include "ops/adafactor.h"
#include "ops/geometry.h"
#include "shaders/args/adafactor.h"

typedef struct sizes {
    int64_t bands, strips, parts;
} sizes;

static sizes sizes_of(const tuff_node *node, uint32_t group)
{
    sizes s = {0};
    for (int i = 0; i < tuff_adafactor_count(node); i++) {
        const tuff_factored f = tuff_adafactor_slot_of(node, i);
        s.bands += f.stack * f.bands;
        s.strips += f.stack * ((f.columns + group - 1) / group);
        s.parts += f.stack * f.bands * f.columns;
    }
    return s;
}

static void fill_entry(const tuff_node *node, tuff_launch *launch, int i, const tuff_factored *f,
                       tuff_adafactor_entry *e)
{
    tuff_launch_data_address(launch, &e->param, TUFF_OPERAND_OUT, f->out, 0);
    tuff_launch_data_address(launch, &e->grad, TUFF_OPERAND_IN, f->in + 1, 0);
    tuff_launch_data_address(launch, &e->row, TUFF_OPERAND_OUT, f->out + 1, 0);
    tuff_launch_data_address(launch, &e->column, TUFF_OPERAND_OUT, f->out + 2, 0);
    if (node->attrs.adafactor.beta1 > 0)
        tuff_launch_data_address(launch, &e->mean, TUFF_OPERAND_OUT, f->out + 3, 0);
    e->rate = (float)node->groups[i].rate;
    e->decay = (float)node->groups[i].decay;
    e->rows = (uint32_t)f->rows;
    e->columns = (uint32_t)f->columns;
    e->elements = (float)(f->stack * f->rows * f->columns);
}

/* Bands and strips of a slot; `band` and `part` are the numbers of its first. */
static void fill_tables(int slot, const tuff_factored *f, uint32_t group, uint32_t band, uint32_t part,
                        tuff_adafactor_band *bands, tuff_adafactor_strip **strips)
{
    for (int64_t m = 0; m < f->stack; m++) {
        const uint32_t first = (uint32_t)(m * f->bands);
        for (int64_t k = 0; k < f->bands; k++) {
            const int64_t row = k * f->band, left = f->rows - row;
            bands[first + k] = (tuff_adafactor_band){
                .slot = (uint32_t)slot,
                .matrix = (uint32_t)m,
                .row = (uint32_t)row,
                .rows = (uint32_t)(left < f->band ? left : f->band),
                .part = part + (uint32_t)((first + k) * f->columns),
                .first = band + first,
                .bands = (uint32_t)f->bands,
                .slot_first = band,
                .slot_bands = (uint32_t)(f->stack * f->bands),
            };
        }
        for (int64_t c = 0; c < f->columns; c += group)
            *(*strips)++ = (tuff_adafactor_strip){.slot = (uint32_t)slot,
                                                  .matrix = (uint32_t)m,
                                                  .column = (uint32_t)c,
                                                  .part = part + (uint32_t)(first * f->columns),
                                                  .bands = (uint32_t)f->bands};
    }
}

/* Where each table, and each part of the scratch memory, begins. */
typedef struct places {
    size_t bands, strips;
    uint64_t parts, row_sums, norms;
} places;

static tuff_adafactor_args *add(const tuff_node *node, tuff_launch *launch, tuff_shader shader,
                                const places *at)
{
    const tuff_adafactor_params *a = &node->attrs.adafactor;
    tuff_adafactor_args *args = tuff_launch_add(launch, shader, sizeof *args);
    tuff_launch_address(launch, &args->entries, TUFF_OPERAND_DATA, 0, 0);
    tuff_launch_address(launch, &args->lr, TUFF_OPERAND_IN, 0, 0);
    tuff_launch_address(launch, &args->norm, TUFF_OPERAND_IN, 1, 0);
    tuff_launch_address(launch, &args->state, TUFF_OPERAND_IN, 2, 0);
    tuff_launch_address(launch, &args->parts, TUFF_OPERAND_SCRATCH, 0, at->parts);
    tuff_launch_address(launch, &args->row_sums, TUFF_OPERAND_SCRATCH, 0, at->row_sums);
    tuff_launch_address(launch, &args->norms, TUFF_OPERAND_SCRATCH, 0, at->norms);
    args->beta1 = (float)a->beta1;
    args->one_minus_beta1 = (float)(1 - a->beta1);
    args->decay_rate = (float)a->decay_rate;
    args->eps1 = (float)a->eps1;
    args->eps2 = (float)a->eps2;
    args->clip_threshold = (float)a->clip_threshold;
    args->max_norm = (float)a->max_grad_norm;
    args->scale_parameter = a->scale_parameter;
    return args;
}

static void add_over(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch, tuff_shader shader,
                     const places *at, bool strips, int64_t n)
{
    tuff_adafactor_args *args = add(node, launch, shader, at);
    if (shader != TUFF_SHADER_adafactor_squares) tuff_launch_after(launch);
    tuff_launch_address(launch, &args->table, TUFF_OPERAND_DATA, 0, strips ? at->strips : at->bands);
    args->n_table = (uint32_t)n;
    tuff_launch_spec(launch, tuff_reduce_group(caps));
    tuff_launch_groups_1d(launch, caps, (uint64_t)n);
}

void tuff_launch_adafactor(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    const uint32_t group = tuff_reduce_group(caps);
    const int slots = tuff_adafactor_count(node);
    const sizes s = sizes_of(node, group);
    places at = {.bands = (size_t)slots * sizeof(tuff_adafactor_entry)};
    at.strips = at.bands + (size_t)s.bands * sizeof(tuff_adafactor_band);
    uint8_t *table = tuff_launch_data(launch, at.strips + (size_t)s.strips * sizeof(tuff_adafactor_strip));
    at.parts = tuff_launch_scratch(launch, (uint64_t)s.parts * 4);
    at.row_sums = tuff_launch_scratch(launch, (uint64_t)s.bands * 4);
    at.norms = tuff_launch_scratch(launch, (uint64_t)s.bands * 8);
    if (table == NULL) return;
    tuff_adafactor_band *bands = (tuff_adafactor_band *)(table + at.bands);
    tuff_adafactor_strip *strips = (tuff_adafactor_strip *)(table + at.strips);
    uint32_t band = 0, part = 0;
    for (int i = 0; i < slots; i++) {
        const tuff_factored f = tuff_adafactor_slot_of(node, i);
        fill_entry(node, launch, i, &f, (tuff_adafactor_entry *)table + i);
        fill_tables(i, &f, group, band, part, bands + band, &strips);
        band += (uint32_t)(f.stack * f.bands);
        part += (uint32_t)(f.stack * f.bands * f.columns);
    }
    add_over(node, caps, launch, TUFF_SHADER_adafactor_squares, &at, false, s.bands);
    add_over(node, caps, launch, TUFF_SHADER_adafactor_columns, &at, true, s.strips);
    add_over(node, caps, launch, TUFF_SHADER_adafactor_norms, &at, false, s.bands);
    add_over(node, caps, launch, TUFF_SHADER_adafactor, &at, false, s.bands);
}
