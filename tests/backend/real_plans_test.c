/* The pipelines of real plans: what training, generating and embedding with models of today's shapes runs on
 * a GPU. Nothing is computed: a device that has what AMD's driver reports takes the plans, and models are
 * files of holes. Each pipeline must be what its shader says, and stay in the shared memory that GPUs give a
 * workgroup at full speed.
 *
 * With TUFF_TEST_PIPELINES, a directory, they are left there for a driver's compiler
 * (scripts/gpu-compile.sh): the modules, and a line of each pipeline in pipelines.txt: module, specialization
 * constants, what runs it. */
#include "kit/kit.h"

#ifdef TUFF_HAVE_VULKAN

#include <stdio.h>
#include <tuff/batch.h>
#include <tuff/embed.h>
#include <tuff/train.h>

#include "backend/vulkan/shader_source.h"
#include "base/file.h"
#include "base/os.h"
#include "base/text.h"
#include "kit/files.h"
#include "kit/hollow.h"

enum { LAYERS = 2, WORDS = 4096, CONTEXT = 1024, MOST_SHARED = 32768 };

/* ---- the pipelines that were seen */

typedef struct pipeline {
    tuff_dispatch dispatch; /* its shader and constants */
    tuff_buf users;         /* one word each */
} pipeline;

static pipeline *pipelines;
static size_t n_pipelines, pipelines_capacity;
static char user[64]; /* what is being run */

/* A pipeline is what its shader says, and takes no more shared memory than lets a GPU run several workgroups
 * at once. */
static void check(const tuff_dispatch *d)
{
    const tuff_spirv_entry *entry = &tuff_spirv_pack[d->shader];
    tuff_spirv_info info;
    uint64_t shared = 0;
    KIT_OK(tuff_spirv_reflect(entry->words, entry->n_words, &info));
    const char *fault = tuff_spirv_check(&info, d, &kit_radv);
    if (fault) fail_msg("%s: %s: %s", user, entry->name, fault);
    KIT_OK(tuff_spirv_shared_bytes(entry->words, entry->n_words, d, &shared));
    if (shared > MOST_SHARED)
        fail_msg("%s: %s takes %llu bytes of shared memory, allowed are %d", user, entry->name,
                 (unsigned long long)shared, MOST_SHARED);
}

static pipeline *pipeline_of(const tuff_dispatch *d)
{
    for (size_t i = 0; i < n_pipelines; i++) {
        const tuff_dispatch *known = &pipelines[i].dispatch;
        if (known->shader == d->shader && known->n_spec == d->n_spec &&
            memcmp(known->spec, d->spec, (size_t)d->n_spec * sizeof *d->spec) == 0)
            return &pipelines[i];
    }
    assert_true(tuff_grow((void **)&pipelines, n_pipelines, &pipelines_capacity, sizeof *pipelines));
    check(d);
    pipelines[n_pipelines] = (pipeline){.dispatch = *d};
    pipelines[n_pipelines].dispatch.relocs = NULL; /* the plan's */
    pipelines[n_pipelines].dispatch.args = NULL;
    return &pipelines[n_pipelines++];
}

static void record(const tuff_dispatch *d)
{
    pipeline *p = pipeline_of(d);
    const char *known = p->users.data ? strstr(p->users.data, user) : NULL;
    const size_t size = strlen(user);
    while (known && known[size] != '\0' && known[size] != ',')
        known = strstr(known + 1, user);
    if (!known) tuff_buf_printf(&p->users, "%s%s", p->users.size ? "," : "", user);
}

static tuff_device device;

static void take(const tuff_plan *plan)
{
    for (size_t s = 0; s < plan->n_steps; s++) {
        const tuff_launch *launch = plan->steps[s].launch;
        if (!launch) fail_msg("%s: no kernel for %s", user, plan->steps[s].op->name);
        for (size_t i = 0; i < launch->n; i++)
            record(launch->dispatches[i]);
    }
}

static int open_device(void **state)
{
    (void)state;
    return kit_taker_open(&kit_radv, take, &device) == TUFF_OK ? 0 : -1;
}

/* ---- what is done with them */

/* A prompt and what follows it, alone and in a batch. */
static void generate(const tuff_model *model)
{
    static const size_t sizes[] = {200, 17, 1, 90, 33, 64, 5, 120};
    enum { MANY = sizeof sizes / sizeof sizes[0] };
    char text[256];
    memset(text, 'a', sizeof text);
    for (size_t n = 1; n <= MANY; n += MANY - 1) {
        tuff_batcher_params params = TUFF_BATCHER_PARAMS_INIT;
        tuff_generate_params how = TUFF_GENERATE_PARAMS_INIT;
        tuff_batcher *batcher = NULL;
        tuff_sequence *sequence;
        how.max_new_tokens = 3;
        how.ignore_eos = true;
        KIT_OK(tuff_batcher_create(model, &device, &params, &batcher));
        for (size_t i = 0; i < n; i++)
            KIT_OK(tuff_batcher_add(batcher, text, sizes[i], &how, &sequence));
        KIT_OK(tuff_batcher_run(batcher, NULL));
        tuff_batcher_destroy(&batcher);
    }
}

static void decoder(const char *name, const char *directory, int64_t head_dim)
{
    static const struct {
        const char *what;
        int64_t rank, accumulate;
    } trainings[] = {{"full", 0, 1}, {"full", 0, 2}, {"lora", 8, 1}, {"lora", 64, 1}};
    tuff_model *model;
    KIT_OK(tuff_model_load(directory, &model));
    for (size_t i = 0; i < sizeof trainings / sizeof *trainings; i++) {
        snprintf(user, sizeof user, "%s-%lld-%s", name, (long long)head_dim, trainings[i].what);
        /* steps of several batches and of one, with the norm clipped */
        kit_take_training(model, &device, trainings[i].rank, trainings[i].accumulate);
    }
    snprintf(user, sizeof user, "%s-%lld-generate", name, (long long)head_dim);
    generate(model);
    tuff_model_destroy(&model);
}

static void decoders_run_these(void **state)
{
    (void)state;
    static const kit_shape gpts[] = {{12, 12, 64, 768, 3072, LAYERS, WORDS, CONTEXT},
                                     {10, 10, 80, 800, 3200, LAYERS, WORDS, CONTEXT},
                                     {8, 8, 96, 768, 3072, LAYERS, WORDS, CONTEXT},
                                     {8, 8, 128, 1024, 4096, LAYERS, WORDS, CONTEXT},
                                     {4, 4, 256, 1024, 4096, LAYERS, WORDS, CONTEXT}},
                           llamas[] = {{9, 3, 64, 576, 1536, LAYERS, WORDS, CONTEXT},
                                       {8, 2, 80, 640, 1728, LAYERS, WORDS, CONTEXT},
                                       {8, 2, 96, 768, 2048, LAYERS, WORDS, CONTEXT},
                                       {8, 2, 128, 1024, 2816, LAYERS, WORDS, CONTEXT},
                                       {4, 1, 256, 1152, 3072, LAYERS, WORDS, CONTEXT}};
    for (size_t i = 0; i < sizeof gpts / sizeof *gpts; i++) {
        decoder("gpt2", kit_hollow_gpt2(&gpts[i]), gpts[i].head_dim);
        decoder("llama", kit_hollow_llama(&llamas[i]), llamas[i].head_dim);
    }
}

static void encoders_run_these(void **state)
{
    (void)state;
    static const kit_shape shapes[] = {{12, 12, 32, 384, 1536, LAYERS, WORDS, CONTEXT},
                                       {12, 12, 64, 768, 3072, LAYERS, WORDS, CONTEXT}};
    static const size_t counts[] = {12, 200, 33};
    const int32_t *const ids[] = {kit_taken_ids(), kit_taken_ids(), kit_taken_ids()};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        tuff_model *model;
        tuff_embedder *embedder = NULL;
        tuff_embedder_params params = TUFF_EMBEDDER_PARAMS_INIT;
        KIT_OK(tuff_model_load(kit_hollow_bert(&shapes[i]), &model));
        snprintf(user, sizeof user, "bert-%lld-embed", (long long)shapes[i].head_dim);
        KIT_OK(tuff_embedder_create(model, &device, &params, &embedder));
        static float vectors[3 * 768];
        KIT_OK(tuff_embed_ids(embedder, ids, counts, 3, NULL, vectors));
        tuff_embedder_destroy(&embedder);
        tuff_model_destroy(&model);
    }
}

static void they_are_left_for_a_compiler(void **state)
{
    (void)state;
    const char *directory = tuff_environment("TUFF_TEST_PIPELINES");
    assert_true(n_pipelines > 40);
    if (!directory) return;
    tuff_buf list = {0};
    for (size_t i = 0; i < n_pipelines; i++) {
        const tuff_dispatch *d = &pipelines[i].dispatch;
        const tuff_spirv_entry *entry = &tuff_spirv_pack[d->shader];
        char name[128];
        snprintf(name, sizeof name, "%s.spv", entry->name);
        kit_write_file(kit_join(directory, name), entry->words, entry->n_words * 4);
        tuff_buf_printf(&list, "%s ", entry->name);
        for (int k = 0; k < d->n_spec; k++)
            tuff_buf_printf(&list, "%s%u", k ? "," : "", (unsigned)d->spec[k]);
        tuff_buf_printf(&list, "%s %s\n", d->n_spec ? "" : "-", pipelines[i].users.data);
    }
    kit_write_file(kit_join(directory, "pipelines.txt"), list.data, list.size);
    tuff_buf_free(&list);
}

static int forget(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_pipelines; i++)
        tuff_buf_free(&pipelines[i].users);
    tuff_free(pipelines);
    kit_taker_close(&device);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decoders_run_these),
        cmocka_unit_test(encoders_run_these),
        cmocka_unit_test(they_are_left_for_a_compiler),
    };
    return cmocka_run_group_tests(tests, open_device, forget);
}

#else

int main(void)
{
    return 77;
}

#endif
