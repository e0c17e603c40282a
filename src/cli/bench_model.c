/* What a model does on a device: training steps, prompts, texts. */
#include <stdlib.h>
#include <string.h>
#include <tuff/program.h>
#include <tuff/tokenizer.h>

#include "cli/bench.h"

typedef tuff_cli_bench_options options;

enum { LEAST = 5, MOST = TUFF_CLI_BENCH_MOST_ROUNDS };

typedef struct rounds {
    double seconds[MOST], all;
    size_t n;
} rounds;

static double seconds_of(const options *o)
{
    return o->seconds > 0 ? o->seconds : TUFF_CLI_BENCH_SECONDS;
}

static bool wants_more(const rounds *r, const options *o)
{
    return (int64_t)r->n < (o->rounds ? o->rounds : LEAST) || (r->all < seconds_of(o) && r->n < MOST);
}

static void add(rounds *r, double seconds)
{
    r->seconds[r->n++] = seconds;
    r->all += seconds;
}

/* Sets seconds, spread and rounds of a row. */
static void settle(rounds *r, tuff_cli_bench_row *row)
{
    row->seconds = tuff_bench_median(r->seconds, r->n, &row->spread);
    row->rounds = r->n;
}

typedef struct work {
    const options *o;
    const tuff_model *model;
    tuff_device *device;
    const tuff_bench_peak *peak; /* NULL: nothing is measured, all is done once */
    tuff_model_info info;
    const char *name;
} work;

/* Ids of the whole table, as far as one likes, so that rows are read from everywhere. */
static tuff_status load_ids(const work *w, int64_t count, int64_t block, tuff_dataset **out)
{
    int32_t *ids = malloc((size_t)count * sizeof *ids);
    uint32_t state = 1;
    for (int64_t i = 0; ids && i < count; i++) {
        state = state * 1664525u + 1013904223u;
        ids[i] = (int32_t)((uint64_t)state * (uint64_t)w->info.vocab_size >> 32);
    }
    if (!ids) tuff_cli_say("tuff: out of memory for %lld ids", (long long)count);
    tuff_status status = ids ? tuff_dataset_from_ids(ids, (size_t)count, block, out) : TUFF_OUT_OF_MEMORY;
    free(ids);
    return status;
}

static tuff_status run_steps(const work *w, tuff_trainer *trainer, rounds *r)
{
    for (int warm = 0; warm < 2 || wants_more(r, w->o); warm++) {
        tuff_train_step step = TUFF_TRAIN_STEP_INIT;
        tuff_status status = tuff_trainer_step(trainer, &step);
        if (status != TUFF_OK) return status;
        if (!w->peak) break;
        if (warm >= 2) add(r, step.seconds);
    }
    return TUFF_OK;
}

static int train(const work *w, int64_t batch, int64_t tokens)
{
    tuff_dataset *data = NULL;
    tuff_trainer *trainer = NULL;
    tuff_train_params params = TUFF_TRAIN_PARAMS_INIT;
    rounds r = {.n = 0};
    params.max_steps = MOST + 2;
    params.per_device_train_batch_size = batch;
    params.lora_rank = w->o->lora_rank;
    params.lora_target = w->o->lora_rank ? "all-linear" : NULL;
    params.watch = tuff_cli_watch();
    tuff_status status = load_ids(w, 4 * batch * tokens, tokens, &data);
    if (status == TUFF_OK) status = tuff_trainer_create(w->model, w->device, data, &params, &trainer);
    if (status == TUFF_OK) status = run_steps(w, trainer, &r);
    if (status == TUFF_OK && w->peak) {
        char name[64], what[96];
        tuff_cli_bench_row row = {.name = name, .what = what, .unit = "tok/s", .model = w->name, .of = "f32"};
        snprintf(name, sizeof name, "%s_%lldx%lld", w->o->lora_rank ? "train_lora" : "train",
                 (long long)batch, (long long)tokens);
        snprintf(what, sizeof what, "a training step with AdamW, %lld x %lld tokens", (long long)batch,
                 (long long)tokens);
        settle(&r, &row);
        row.rate = (double)(batch * tokens) / row.seconds;
        row.share =
            tuff_program_flops(tuff_trainer_program(trainer)) / row.seconds * 1e-9 / w->peak->f32_gflops;
        tuff_cli_bench_put(w->o, &row);
    }
    const int code = status == TUFF_OK ? TUFF_EXIT_OK : tuff_cli_failed();
    tuff_trainer_destroy(&trainer);
    tuff_dataset_destroy(&data);
    return code;
}

/* A text of at most so many tokens, and not many fewer; free it. NULL: it was said why. */
static char *make_prompt(const tuff_tokenizer *tokenizer, int64_t tokens, size_t *out_size)
{
    static const char *const words[] = {"the ",  "house ", "stands ", "on ",   "a ",
                                        "hill ", "and ",   "looks ",  "over ", "it, "};
    enum { WORDS = sizeof words / sizeof *words, LONGEST = 8, TRIES = 8 };
    char *text = malloc((size_t)tokens * LONGEST);
    if (!text) tuff_cli_say("tuff: out of memory for a prompt");
    for (int64_t try = 0, count = tokens; text && try < TRIES; try++) {
        size_t used = 0, got = 0;
        int32_t *ids = NULL;
        for (int64_t i = 0; i < count; i++) {
            const size_t size = strlen(words[i % WORDS]);
            memcpy(text + used, words[i % WORDS], size);
            used += size;
        }
        if (tuff_tokenizer_encode(tokenizer, text, used, TUFF_ENCODE_ADD_SPECIAL, &ids, &got) != TUFF_OK)
            break;
        tuff_free(ids);
        *out_size = used;
        if ((int64_t)got <= tokens || count == 1) return text;
        const int64_t fewer = count * tokens / (int64_t)got;
        count = fewer < count ? fewer : count - 1;
        if (count < 1) count = 1;
    }
    free(text);
    if (text) tuff_cli_failed();
    return NULL;
}

typedef struct spoken {
    rounds prompt, text;
    int64_t prompt_tokens, new_tokens;
} spoken;

/* The first round has programs planned and kernels made ready. */
static tuff_status speak(const work *w, const char *prompt, size_t size, int64_t new_tokens, spoken *s)
{
    tuff_generator *generator = NULL;
    tuff_generator_params params = TUFF_GENERATOR_PARAMS_INIT;
    tuff_generate_params generate = TUFF_GENERATE_PARAMS_INIT;
    params.watch = tuff_cli_watch();
    params.context_length = w->o->prompt > 0 ? w->o->prompt + new_tokens + 8 : 0;
    if (params.context_length > w->info.context_length) params.context_length = 0;
    generate.max_new_tokens = new_tokens;
    generate.ignore_eos = true;
    tuff_status status = tuff_generator_create(w->model, w->device, &params, &generator);
    for (int warm = 1; status == TUFF_OK && (warm || wants_more(&s->text, w->o)); warm = 0) {
        tuff_generate_result r = TUFF_GENERATE_RESULT_INIT;
        status = tuff_generate(generator, prompt, size, &generate, &r);
        if (!w->peak) break;
        if (warm || status != TUFF_OK) continue;
        add(&s->prompt, r.prompt_seconds);
        add(&s->text, r.generate_seconds);
        s->prompt_tokens = r.prompt_tokens;
        s->new_tokens = r.new_tokens;
    }
    tuff_generator_destroy(&generator);
    return status;
}

/* Operations of a prompt: a multiply and add for each token and weight, but for the tables' rows that are
 * only read. */
static double prompt_flops(const work *w, int64_t tokens)
{
    const double table = (double)w->info.vocab_size * (double)w->info.hidden_size;
    return 2.0 * (double)tokens * ((double)w->info.parameters - (w->info.tied ? 1 : 2) * table) + 2.0 * table;
}

/* Bytes of the weights that a token is made with: all but a table that is read by the row. */
static double token_bytes(const work *w)
{
    const double table = w->info.tied ? 0 : (double)w->info.vocab_size * (double)w->info.hidden_size;
    return (double)w->info.weight_bytes * (1 - table / (double)w->info.parameters);
}

static int generate(const work *w, int64_t prompt_tokens, int64_t new_tokens)
{
    const tuff_tokenizer *tokenizer = NULL;
    spoken s = {.prompt_tokens = 0};
    size_t size = 0;
    if (tuff_model_get_tokenizer(w->model, &tokenizer) != TUFF_OK) return tuff_cli_failed();
    char *prompt = make_prompt(tokenizer, prompt_tokens > 1 ? prompt_tokens : 1, &size);
    if (!prompt) return TUFF_EXIT_FAILED;
    const tuff_status status = speak(w, prompt, size, new_tokens > 1 ? new_tokens : 1, &s);
    free(prompt);
    if (status != TUFF_OK) return tuff_cli_failed();
    if (!w->peak) return TUFF_EXIT_OK;
    char name[64];
    if (prompt_tokens > 0) {
        tuff_cli_bench_row row = {
            .name = name, .what = "reading a prompt", .unit = "tok/s", .model = w->name, .of = "f32"};
        snprintf(name, sizeof name, "prompt_%lld", (long long)s.prompt_tokens);
        settle(&s.prompt, &row);
        row.rate = (double)s.prompt_tokens / row.seconds;
        row.share = prompt_flops(w, s.prompt_tokens) / row.seconds * 1e-9 / w->peak->f32_gflops;
        tuff_cli_bench_put(w->o, &row);
    }
    if (new_tokens > 1 && s.new_tokens > 0) {
        tuff_cli_bench_row row = {
            .name = name, .what = "generating, one text", .unit = "tok/s", .model = w->name, .of = "read"};
        snprintf(name, sizeof name, "generate_%lld", (long long)s.new_tokens);
        settle(&s.text, &row);
        row.rate = (double)s.new_tokens / row.seconds;
        row.share = row.rate * token_bytes(w) * 1e-9 / w->peak->read_gbps;
        tuff_cli_bench_put(w->o, &row);
    }
    return TUFF_EXIT_OK;
}

static int measure(work *w, tuff_cli_bench_sizes *out_sizes)
{
    const options *o = w->o;
    const int64_t context = w->info.context_length > 0 ? w->info.context_length : 1 << 20;
    int64_t batch = 4, tokens = context < 256 ? context : 256;
    if (o->train) tuff_cli_bench_shape(o->train, &batch, &tokens);
    int64_t prompt = o->prompt >= 0 ? o->prompt : 512, text = o->generate >= 0 ? o->generate : 64;
    if (o->prompt < 0 && prompt + text + 1 > context) prompt = context / 2;
    if (o->generate < 0 && prompt + text + 1 > context) text = context - prompt - 1;
    if (out_sizes) *out_sizes = (tuff_cli_bench_sizes){batch, tokens, prompt, text};
    int code = tokens ? train(w, batch, tokens) : TUFF_EXIT_OK;
    if (code == TUFF_EXIT_OK && (prompt || text)) code = generate(w, prompt, text);
    return code;
}

int tuff_cli_bench_model(const options *o, int shape, tuff_device *device, const tuff_bench_peak *peak,
                         tuff_cli_bench_sizes *out_sizes)
{
    tuff_model *model = NULL;
    work w = {.o = o, .device = device, .peak = peak, .info = TUFF_MODEL_INFO_INIT};
    if (!o->model && shape == TUFF_CLI_BENCH_NONE) return TUFF_EXIT_OK;
    w.name = o->model ? o->model : tuff_cli_bench_shape_name(shape);
    tuff_status status = o->model ? tuff_model_load_watched(o->model, tuff_cli_watch(), &model)
                                  : tuff_cli_bench_draw(shape, &model);
    if (status == TUFF_OK) status = tuff_model_get_info(model, &w.info);
    w.model = model;
    const int code = status == TUFF_OK ? measure(&w, out_sizes) : tuff_cli_failed();
    tuff_model_destroy(&model);
    return code;
}
