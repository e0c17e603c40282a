/* Kernels as a table for people, and as JSON. */
#include <inttypes.h>
#include <string.h>

#include "cli/bench.h"

/* What drivers may tell, in the order of the columns. */
static const struct {
    tuff_kernel_figure figure;
    const char *column; /* NULL: it is in JSON only */
    const char *key;
} figures[] = {
    {TUFF_KERNEL_REGISTERS, "registers", "registers"},
    {TUFF_KERNEL_SCALAR_REGISTERS, "scalar", "scalar_registers"},
    {TUFF_KERNEL_SPILLS, "spills", "spills"},
    {TUFF_KERNEL_SCRATCH, "scratch", "scratch_bytes"},
    {TUFF_KERNEL_SHARED, NULL, "shared_bytes"},
    {TUFF_KERNEL_OCCUPANCY, "occupancy", "occupancy"},
    {TUFF_KERNEL_CODE, "code", "code_bytes"},
    {TUFF_KERNEL_INSTRUCTIONS, NULL, "instructions"},
};
enum { FIGURES = sizeof figures / sizeof *figures };

/* "attention_tile:64,36,256", as docs/gpu-kernels.md has it. */
static void name_of(const tuff_kernel *k, char *out, size_t size)
{
    size_t used = (size_t)snprintf(out, size, "%s", k->shader);
    for (size_t i = 0; i < k->n_constants && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%c%" PRIu32, i ? ',' : ':', k->constants[i]);
}

/* "256", "16x16". */
static void workgroup_of(const tuff_kernel *k, char *out, size_t size)
{
    const uint32_t *w = k->workgroup;
    size_t used = (size_t)snprintf(out, size, "%" PRIu32, w[0]);
    if (w[1] > 1 || w[2] > 1) used += (size_t)snprintf(out + used, size - used, "x%" PRIu32, w[1]);
    if (w[2] > 1) snprintf(out + used, size - used, "x%" PRIu32, w[2]);
}

static uint32_t subgroup_of(const tuff_kernel *k)
{
    const bool told = k->n_executables > 0 && k->executables[0].subgroup_size > 0;
    return told ? k->executables[0].subgroup_size : k->subgroup_size;
}

/* The driver's word for it where it tells one: it may add to what the shader declares. */
static double shared_of(const tuff_kernel *k)
{
    double told;
    return tuff_kernel_get_figure(k, TUFF_KERNEL_SHARED, &told) ? told : k->shared_bytes;
}

/* How many kernels have some of what is better not had; nothing where no driver tells it. */
static void put_count(FILE *out, const tuff_kernel *const *kernels, size_t n, tuff_kernel_figure figure,
                      const char *what)
{
    size_t count = 0;
    bool told = false;
    for (size_t i = 0; i < n; i++) {
        double amount;
        if (!tuff_kernel_get_figure(kernels[i], figure, &amount)) continue;
        told = true;
        count += amount > 0;
    }
    if (told) fprintf(out, ", %zu with %s", count, what);
}

void tuff_cli_kernels_table(FILE *out, const tuff_kernel *const *kernels, size_t n)
{
    bool told[FIGURES] = {false};
    int width = (int)strlen("pipeline");
    char name[256], workgroup[40];
    double amount;
    for (size_t i = 0; i < n; i++) {
        name_of(kernels[i], name, sizeof name);
        if ((int)strlen(name) > width) width = (int)strlen(name);
        for (int f = 0; f < FIGURES; f++)
            told[f] = told[f] || tuff_kernel_get_figure(kernels[i], figures[f].figure, &amount);
    }
    fprintf(out, "%-*s  workgroup  subgroup  shared  SPIR-V", width, "pipeline");
    for (int f = 0; f < FIGURES; f++)
        if (told[f] && figures[f].column) fprintf(out, "  %9s", figures[f].column);
    fprintf(out, "  kernel\n");
    for (size_t i = 0; i < n; i++) {
        const tuff_kernel *k = kernels[i];
        name_of(k, name, sizeof name);
        workgroup_of(k, workgroup, sizeof workgroup);
        fprintf(out, "%-*s  %9s  %8" PRIu32 "  %6.0f  %6" PRIu64, width, name, workgroup, subgroup_of(k),
                shared_of(k), k->spirv_bytes);
        for (int f = 0; f < FIGURES; f++) {
            if (!told[f] || !figures[f].column) continue;
            if (tuff_kernel_get_figure(k, figures[f].figure, &amount))
                fprintf(out, "  %9.0f", amount);
            else
                fprintf(out, "  %9s", "-");
        }
        fprintf(out, "  %s\n", k->name);
    }
    fprintf(out, "\n%zu pipeline%s", n, n == 1 ? "" : "s");
    put_count(out, kernels, n, TUFF_KERNEL_SPILLS, "spilled registers");
    put_count(out, kernels, n, TUFF_KERNEL_SCRATCH, "scratch memory");
    fputs(".\n", out);
}

static void put_text(FILE *out, const char *key, const char *text)
{
    fprintf(out, "\"%s\": ", key);
    tuff_cli_json_text(out, text, strlen(text));
}

static void put_value(FILE *out, const tuff_kernel_statistic *s)
{
    if (s->format == TUFF_KERNEL_BOOL)
        fputs(s->value.boolean ? "true" : "false", out);
    else if (s->format == TUFF_KERNEL_INT64)
        fprintf(out, "%" PRId64, s->value.int64);
    else if (s->format == TUFF_KERNEL_UINT64)
        fprintf(out, "%" PRIu64, s->value.uint64);
    else
        tuff_cli_json_number(out, s->value.float64);
}

static void put_executable(FILE *out, const tuff_kernel_executable *e)
{
    fprintf(out, "{");
    put_text(out, "name", e->name);
    fprintf(out, ", ");
    put_text(out, "description", e->description);
    fprintf(out, ", \"subgroup_size\": %" PRIu32 ", \"statistics\": [", e->subgroup_size);
    for (size_t i = 0; i < e->n_statistics; i++) {
        fprintf(out, "%s{", i ? ", " : "");
        put_text(out, "name", e->statistics[i].name);
        fprintf(out, ", \"value\": ");
        put_value(out, &e->statistics[i]);
        fprintf(out, ", ");
        put_text(out, "description", e->statistics[i].description);
        fprintf(out, "}");
    }
    fprintf(out, "]}");
}

void tuff_cli_kernels_json(FILE *out, const tuff_kernel *k)
{
    double amount;
    bool begun = false;
    fprintf(out, "{");
    put_text(out, "kernel", k->name);
    fprintf(out, ", ");
    put_text(out, "shader", k->shader);
    fprintf(out, ", \"constants\": [");
    for (size_t i = 0; i < k->n_constants; i++)
        fprintf(out, "%s%" PRIu32, i ? ", " : "", k->constants[i]);
    fprintf(out, "], \"workgroup\": [%" PRIu32 ", %" PRIu32 ", %" PRIu32 "], \"subgroup_size\": %" PRIu32,
            k->workgroup[0], k->workgroup[1], k->workgroup[2], subgroup_of(k));
    fprintf(out, ", \"shared_bytes\": %" PRIu32 ", \"spirv_bytes\": %" PRIu64 ", \"statistics\": {",
            k->shared_bytes, k->spirv_bytes);
    for (int f = 0; f < FIGURES; f++) {
        if (!tuff_kernel_get_figure(k, figures[f].figure, &amount)) continue;
        fprintf(out, "%s\"%s\": ", begun ? ", " : "", figures[f].key);
        tuff_cli_json_number(out, amount);
        begun = true;
    }
    fprintf(out, "}, \"executables\": [");
    for (size_t i = 0; i < k->n_executables; i++) {
        if (i) fprintf(out, ", ");
        put_executable(out, &k->executables[i]);
    }
    fprintf(out, "]}");
}
