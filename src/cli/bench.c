/* tuff bench: how fast a device is, alone and with a model. */
#include "cli/bench.h"

#include <stdlib.h>
#include <string.h>
#include <tuff/version.h>

typedef tuff_cli_bench_options options;

#define AT(member) .offset = offsetof(options, member)
static const tuff_arg items[] = {
    {.kind = TUFF_ARG_GROUP, .name = "Options:"},
    TUFF_CLI_DEVICE_ROWS,
    {TUFF_ARG_TEXT, "only", "TEXT", AT(only),
     .help =
         "only measurements of the device whose names hold this text, such as gemm or attention; copy, read and "
         "fma_f32, which give the peaks, are made at any rate; of kernels: those that hold it in the name of operation, "
         "kernel or shader"},
    {TUFF_ARG_REAL, "seconds", "N", AT(seconds), .low = 0.01, .high = 60,
     .help = "that each measurement takes at least", .preset = "0.3"},
    {TUFF_ARG_FLAG, "kernels", NULL, AT(kernels),
     .help =
         "measure nothing, but show the kernels that the model's training, prompt and text run on the device, and what its "
         "driver makes of each",
     .momentary = true},
    {.kind = TUFF_ARG_GROUP, .name = "A model:"},
    {TUFF_ARG_TEXT, "model", "PATH", AT(model), .help = "measure this model too: " TUFF_CLI_MODEL_HELP},
    {TUFF_ARG_CHOICE, "shape", TUFF_CLI_BENCH_SHAPES, AT(shape),
     .help =
         "without --model: measure a model of this shape, with weights drawn at random; auto: gpt2-124m where the device's "
         "f32 peak is above 1000 GFLOP/s, gpt2-30m above 50, else none; with --kernels all of them"},
    {TUFF_ARG_TEXT, "train", "BATCHxTOKENS", AT(train), .help = "the size of a training step; 0: none",
     .preset = "4x256, or as many tokens as the model's context has"},
    {TUFF_ARG_INT, "lora-rank", "N", AT(lora_rank), .low = 0, .high = 4096,
     .help = "train LoRA of this rank; 0: all parameters"},
    {TUFF_ARG_INT, "prompt", "N", AT(prompt), .low = 0, .high = 1 << 20,
     .help = "tokens of a prompt; 0: none", .preset = "512, or half of the model's context if that is less"},
    {TUFF_ARG_INT, "generate", "N", AT(generate), .low = 0, .high = 1 << 20,
     .help = "tokens that are generated behind it; 0: none", .preset = "64"},
    {TUFF_ARG_INT, "rounds", "N", AT(rounds), .low = 1, .high = TUFF_CLI_BENCH_MOST_ROUNDS,
     .help = "of each of these at least, behind those that make it warm", .preset = "5"},
    TUFF_CLI_JSON_ROW(
        "print one JSON object: device, peak, results; with --kernels: device, driver, pipelines"),
    TUFF_CLI_TALK_ROWS,
};
static const tuff_args spec = {
    .verb = "bench",
    .usage = "[options]",
    .about =
        "Measures a device: what its memory and its arithmetic do at most, and how much of that the kernels of models "
        "reach. Each figure is the median of rounds. Other work on the machine makes figures lower.",
    .items = items,
    .count = sizeof items / sizeof items[0],
    .notes =
        "What is told:\n"
        "  share: the rate over the peak of what bounds the work: copy (reading and writing memory), read, or f32 "
        "(multiply and add in registers). A product with weights of 16 bits or less can pass the f32 peak where a device "
        "has instructions for these, and what fits in its caches that of memory. A training step's operations are those "
        "of its plan; a token that is generated reads the model's weights once, which its share takes for all it reads.\n"
        "  spread: from the first to the third quartile of the rounds, over the median. Where it is large, something else "
        "ran.\n"
        "\n"
        "With --kernels:\n"
        "  The plans of a training step, a prompt and a text are made for the device, and each kernel that they run is "
        "compiled with its specialization constants; nothing runs, and the device's memory does not matter. Workgroup, "
        "subgroup, shared memory and the size of SPIR-V are known of each. Registers, spills, scratch memory, occupancy "
        "and the size of code are shown where the driver tells them, by VK_KHR_pipeline_executable_properties. Each "
        "driver counts in its own way: compare kernels, not drivers. --json has all that the driver told, in its words.\n"
        "  scripts/gpu-compile.sh does the same without a card, for six generations of AMD's and the models of its own "
        "list, compares it with what was recorded, and fails where it became worse.\n",
    .examples = "tuff bench\n"
                "tuff bench --device radeon --only gemm --seconds 1\n"
                "tuff bench --shape llama-1.1b --train 4x512 --lora-rank 8\n"
                "tuff bench --model MODEL --train 4x256 --prompt 512 --generate 64 --json\n"
                "tuff bench --kernels --device radeon --shape llama-1.1b --only attention",
};

static bool begun; /* of the JSON array */

static void put_json(const tuff_cli_bench_row *r)
{
    printf("%s\n    {\"name\": \"%s\", \"rate\": ", begun ? "," : "", r->name);
    tuff_cli_json_number(stdout, r->rate);
    printf(", \"unit\": \"%s\", \"share\": ", r->unit);
    if (r->of)
        tuff_cli_json_number(stdout, r->share);
    else
        printf("null");
    printf(", \"of\": %s%s%s, \"seconds\": ", r->of ? "\"" : "", r->of ? r->of : "null", r->of ? "\"" : "");
    tuff_cli_json_number(stdout, r->seconds);
    printf(", \"spread\": ");
    tuff_cli_json_number(stdout, r->spread);
    printf(", \"rounds\": %llu", (unsigned long long)r->rounds);
    if (r->model) printf(", \"model\": ");
    if (r->model) tuff_cli_json_text(stdout, r->model, strlen(r->model));
    putchar('}');
    begun = true;
}

void tuff_cli_bench_put(const options *o, const tuff_cli_bench_row *r)
{
    tuff_cli_show_line("");
    if (o->common.json) {
        put_json(r);
        return;
    }
    char share[24] = "";
    if (!begun) printf("%-24s %18s  %-15s %6s  %s\n", "name", "rate", "share", "spread", "what");
    begun = true;
    if (r->of) snprintf(share, sizeof share, "%5.1f %% of %s", 100 * r->share, r->of);
    printf("%-24s %10.*f %-7s  %-15s %4.1f %%  %s", r->name, r->rate < 100 ? 2 : 1, r->rate, r->unit, share,
           100 * r->spread, r->what);
    if (r->model) printf(", %s", r->model);
    putchar('\n');
    fflush(stdout);
}

static const char *const bounds[] = {"copy", "read", "f32"};

static void put_device_row(const tuff_bench_row *row, void *user)
{
    const tuff_cli_bench_row r = {.name = row->name,
                                  .what = row->what,
                                  .unit = row->unit,
                                  .of = row->is_peak ? NULL : bounds[row->bound],
                                  .rate = row->rate,
                                  .share = row->share,
                                  .seconds = row->seconds,
                                  .spread = row->spread,
                                  .rounds = row->rounds};
    tuff_cli_bench_put(user, &r);
}

bool tuff_cli_bench_shape(const char *text, int64_t *out_batch, int64_t *out_tokens)
{
    char *end;
    *out_batch = strtoll(text, &end, 10);
    *out_tokens = 0;
    if (strcmp(text, "0") == 0) return true;
    if (end == text || *end != 'x') return false;
    const char *tokens = end + 1;
    *out_tokens = strtoll(tokens, &end, 10);
    return end != tokens && *end == 0 && *out_batch > 0 && *out_batch <= 65536 && *out_tokens > 1 &&
           *out_tokens <= 1 << 24;
}

static bool check_usage(const options *o)
{
    int64_t batch, tokens;
    const char *wrong = NULL;
    if (o->kernels && (o->seconds > 0 || o->rounds))
        wrong = "--seconds and --rounds are of measurements, and --kernels makes none";
    else if (o->kernels && o->shape == TUFF_CLI_BENCH_NONE)
        wrong = "--kernels shows what a model runs, and --shape none leaves that out";
    else if (o->train && !tuff_cli_bench_shape(o->train, &batch, &tokens))
        wrong = "--train takes a batch and tokens, as in 4x256, or 0";
    else if (o->model && o->shape != TUFF_CLI_BENCH_AUTO)
        wrong = "--model and --shape are two answers to one question; give one";
    else if (o->shape == TUFF_CLI_BENCH_NONE &&
             (o->train || o->prompt >= 0 || o->generate >= 0 || o->lora_rank > 0 || o->rounds))
        wrong =
            "--train, --lora-rank, --prompt, --generate and --rounds are of a model, and --shape none leaves that out";
    if (wrong) tuff_cli_say("tuff: %s (see: tuff bench --help)", wrong);
    return wrong == NULL;
}

static void put_begin(const options *o, const tuff_device *device)
{
    const tuff_device_info *info = tuff_device_get_info(device);
    if (!o->common.json) {
        printf("%s%s%s\n", info->name, *info->driver ? "; " : "", info->driver);
        return;
    }
    printf("{\n  \"tuff\": \"%s\",\n  \"device\": ", tuff_version());
    tuff_cli_json_text(stdout, info->name, strlen(info->name));
    printf(",\n  \"driver\": ");
    tuff_cli_json_text(stdout, info->driver, strlen(info->driver));
    printf(",\n  \"backend\": \"%s\",\n  \"results\": [", info->backend);
}

static void put_end(const options *o, const tuff_bench_peak *peak)
{
    if (!o->common.json) return;
    printf("\n  ],\n  \"peak\": {\"copy_gbps\": ");
    tuff_cli_json_number(stdout, peak->copy_gbps);
    printf(", \"read_gbps\": ");
    tuff_cli_json_number(stdout, peak->read_gbps);
    printf(", \"f32_gflops\": ");
    tuff_cli_json_number(stdout, peak->f32_gflops);
    printf("}\n}\n");
}

static int bench(options *o, tuff_device *device)
{
    tuff_bench_params params = TUFF_BENCH_PARAMS_INIT;
    tuff_bench_peak peak = TUFF_BENCH_PEAK_INIT;
    params.seconds = o->seconds > 0 ? o->seconds : TUFF_CLI_BENCH_SECONDS;
    params.only = o->only;
    params.watch = tuff_cli_watch();
    params.on_row = put_device_row;
    params.user = o;
    put_begin(o, device);
    if (tuff_bench_run(device, &params, &peak) != TUFF_OK) return tuff_cli_failed();
    const int code = tuff_cli_bench_model(o, tuff_cli_bench_choose(o->shape, &peak), device, &peak, NULL);
    if (code == TUFF_EXIT_OK) put_end(o, &peak);
    return code;
}

int tuff_cli_bench(int argc, char **argv)
{
    options o = {.prompt = -1, .generate = -1};
    tuff_args_outcome outcome = tuff_args_parse(&spec, argc, argv, &o);
    if (outcome != TUFF_ARGS_RUN) return outcome == TUFF_ARGS_HELP ? TUFF_EXIT_OK : TUFF_EXIT_USAGE;
    if (!check_usage(&o)) return TUFF_EXIT_USAGE;
    tuff_cli_begin(&o.common);
    if (o.model && !tuff_cli_find_model(&o.model, o.common.quiet)) return TUFF_EXIT_FAILED;
    if (o.kernels) return tuff_cli_bench_kernels(&o);
    tuff_device *device = NULL;
    const int code =
        tuff_cli_open_device(&o.common, false, &device) == TUFF_OK ? bench(&o, device) : tuff_cli_failed();
    tuff_cli_device_stats(&o.common, device);
    tuff_device_destroy(&device);
    return code;
}
