/* What the files of `tuff bench` share. */
#ifndef TUFF_CLI_BENCH_H
#define TUFF_CLI_BENCH_H

#include <tuff/bench.h>
#include <tuff/kernels.h>

#include "cli/cli.h"

/* Models that are drawn at random. AUTO: one that the device is fast enough for. */
#define TUFF_CLI_BENCH_SHAPES "auto|none|gpt2-30m|gpt2-124m|llama-135m|llama-1.1b"
enum {
    TUFF_CLI_BENCH_AUTO,
    TUFF_CLI_BENCH_NONE,
    TUFF_CLI_BENCH_FIRST,
    TUFF_CLI_BENCH_END = TUFF_CLI_BENCH_FIRST + 4
};

enum { TUFF_CLI_BENCH_MOST_ROUNDS = 64 };
#define TUFF_CLI_BENCH_SECONDS 0.3

typedef struct tuff_cli_bench_options {
    tuff_cli_common common;
    const char *only, *model, *train;
    int64_t prompt, generate, lora_rank, rounds; /* rounds: 0: as is usual */
    int shape;
    bool kernels;
    double seconds; /* 0: as is usual */
} tuff_cli_bench_options;

/* A measurement for the table or the JSON object. `of` and `share`: of which peak; NULL: of none. */
typedef struct tuff_cli_bench_row {
    const char *name, *what, *unit, *of, *model; /* model: NULL: it is of the device alone */
    double rate, share, seconds, spread;
    uint64_t rounds;
} tuff_cli_bench_row;
void tuff_cli_bench_put(const tuff_cli_bench_options *o, const tuff_cli_bench_row *row);

/* "4x256"; false: it is not such. */
bool tuff_cli_bench_shape(const char *text, int64_t *out_batch, int64_t *out_tokens);

/* Which one that is, of them or none; and making it. */
int tuff_cli_bench_choose(int shape, const tuff_bench_peak *peak);
const char *tuff_cli_bench_shape_name(int shape);
tuff_status tuff_cli_bench_draw(int shape, tuff_model **out_model);

/* What is done with a model: sizes of a training step, of a prompt, of a text; 0: none. */
typedef struct tuff_cli_bench_sizes {
    int64_t batch, tokens, prompt, text;
} tuff_cli_bench_sizes;

/* A model's training, prompts and texts: measured, or, with a peak of NULL, done once, on a device that was
 * opened to compile. `shape`: of those that are drawn, where the options name no model. *out_sizes (may be
 * NULL): what was done. The exit code. */
int tuff_cli_bench_model(const tuff_cli_bench_options *o, int shape, tuff_device *device,
                         const tuff_bench_peak *peak, tuff_cli_bench_sizes *out_sizes);

/* `tuff bench --kernels`. The exit code. */
int tuff_cli_bench_kernels(const tuff_cli_bench_options *o);

/* Kernels as a table, and as an item of a JSON array. */
void tuff_cli_kernels_table(FILE *out, const tuff_kernel *const *kernels, size_t n);
void tuff_cli_kernels_json(FILE *out, const tuff_kernel *kernel);

#endif
