/* tuff bench --kernels: what a device's compiler makes of the kernels that models run. */
#include <stdlib.h>
#include <string.h>
#include <tuff/version.h>

#include "cli/bench.h"

typedef tuff_cli_bench_options options;

/* Those that are shown. */
typedef struct list {
    const char *only;
    const tuff_kernel **kernels;
    size_t n, capacity, all;
    bool failed;
} list;

static void add(const tuff_kernel *kernel, void *user)
{
    list *l = user;
    l->all++;
    if (l->only && !strstr(kernel->name, l->only) && !strstr(kernel->shader, l->only)) return;
    if (l->n == l->capacity) {
        const size_t capacity = 2 * l->capacity + 64;
        const tuff_kernel **kernels = realloc(l->kernels, capacity * sizeof *kernels);
        l->failed = l->failed || !kernels;
        if (!kernels) return;
        l->kernels = kernels;
        l->capacity = capacity;
    }
    l->kernels[l->n++] = kernel;
}

/* NULL: some kernel was told of. */
static const char *silence_of(const list *l)
{
    for (size_t i = 0; i < l->n; i++)
        if (!l->kernels[i]->silence) return NULL;
    return l->kernels[0]->silence;
}

/* The kernels of what was done on the device. False: it was said why there is none to be shown. */
static bool find_kernels(const options *o, tuff_device *device, list *l)
{
    l->only = o->only;
    if (tuff_device_kernels(device, add, l) != TUFF_OK)
        tuff_cli_failed();
    else if (l->failed)
        tuff_cli_say("tuff: out of memory for the list of kernels");
    else if (l->n == 0)
        tuff_cli_say("tuff: none of %zu kernels has \"%s\" in its name", l->all, o->only ? o->only : "");
    else
        return true;
    return false;
}

/* What is done of which models. */
typedef struct doing {
    const char *names[TUFF_CLI_BENCH_END];
    size_t n;
    tuff_cli_bench_sizes sizes; /* of the last one: the others' may be less where their context is short */
} doing;

static int run_models(const options *o, tuff_device *device, doing *d)
{
    int first = o->shape, last = o->shape, code = TUFF_EXIT_OK;
    if (o->shape == TUFF_CLI_BENCH_AUTO && !o->model) {
        first = TUFF_CLI_BENCH_FIRST;
        last = TUFF_CLI_BENCH_END - 1;
    }
    for (int shape = first; shape <= last && code == TUFF_EXIT_OK; shape++) {
        d->names[d->n++] = o->model ? o->model : tuff_cli_bench_shape_name(shape);
        code = tuff_cli_bench_model(o, shape, device, NULL, &d->sizes);
    }
    return code;
}

static void put_json(const tuff_device_info *info, const doing *d, const list *l)
{
    const char *silence = silence_of(l);
    printf("{\n  \"tuff\": \"%s\",\n  \"device\": ", tuff_version());
    tuff_cli_json_text(stdout, info->name, strlen(info->name));
    printf(",\n  \"driver\": ");
    tuff_cli_json_text(stdout, info->driver, strlen(info->driver));
    printf(",\n  \"backend\": \"%s\",\n  \"models\": [", info->backend);
    for (size_t i = 0; i < d->n; i++) {
        if (i) printf(", ");
        tuff_cli_json_text(stdout, d->names[i], strlen(d->names[i]));
    }
    printf("],\n  \"silence\": ");
    if (silence)
        tuff_cli_json_text(stdout, silence, strlen(silence));
    else
        printf("null");
    printf(",\n  \"pipelines\": [");
    for (size_t i = 0; i < l->n; i++) {
        printf("%s\n    ", i ? "," : "");
        tuff_cli_kernels_json(stdout, l->kernels[i]);
    }
    printf("\n  ]\n}\n");
}

static void put_table(const options *o, const tuff_device_info *info, const doing *d, const list *l)
{
    const tuff_cli_bench_sizes *s = &d->sizes;
    const char *silence = silence_of(l);
    printf("%s%s%s\n", info->name, *info->driver ? "; " : "", info->driver);
    for (size_t i = 0; i < d->n; i++)
        printf("%s%s", i ? ", " : "", d->names[i]);
    if (s->tokens)
        printf("; training%s %lld x %lld", o->lora_rank ? " LoRA" : "", (long long)s->batch,
               (long long)s->tokens);
    if (s->prompt) printf("%s a prompt of %lld", s->tokens ? "," : ";", (long long)s->prompt);
    if (s->text) printf("%s a text of %lld", s->tokens || s->prompt ? "," : ";", (long long)s->text);
    printf("\n\n");
    tuff_cli_kernels_table(stdout, l->kernels, l->n);
    if (silence)
        printf("Registers, spills, scratch memory, occupancy and size of code are not known: %s.\n", silence);
}

static int show(const options *o, tuff_device *device)
{
    const tuff_device_info *info = tuff_device_get_info(device);
    doing d = {.n = 0};
    list l = {.n = 0};
    if (info->type == TUFF_DEVICE_CPU) {
        tuff_cli_say(
            "tuff: %s: a CPU has no pipelines, its kernels are part of Tuff; name a Vulkan device by "
            "--device (`tuff devices` shows them)",
            info->name);
        return TUFF_EXIT_USAGE;
    }
    int code = run_models(o, device, &d);
    if (code == TUFF_EXIT_OK && !find_kernels(o, device, &l)) code = TUFF_EXIT_FAILED;
    tuff_cli_show_line("");
    if (code == TUFF_EXIT_OK && o->common.json)
        put_json(info, &d, &l);
    else if (code == TUFF_EXIT_OK)
        put_table(o, info, &d, &l);
    free(l.kernels);
    return code;
}

int tuff_cli_bench_kernels(const options *o)
{
    tuff_device *device = NULL;
    const int code =
        tuff_cli_open_to_compile(&o->common, &device) == TUFF_OK ? show(o, device) : tuff_cli_failed();
    tuff_device_destroy(&device);
    return code;
}
