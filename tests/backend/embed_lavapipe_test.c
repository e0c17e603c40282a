/* Embedding on lavapipe: a text's bits do not depend on what it is computed with, and the vectors are the
 * CPU's. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <tuff/embed.h>

#include "base/rng.h"
#include "kit/kit.h"

enum { TEXTS = 24, LONGEST = 12, DIMENSIONS = 64 };

static tuff_device *lavapipe, *cpu;
static int32_t ids[TEXTS][LONGEST];
static const int32_t *all[TEXTS];
static size_t counts[TEXTS];

static tuff_embedder *embedder_of(const tuff_model *model, tuff_device *device, int64_t batch_tokens)
{
    tuff_embedder_params params = TUFF_EMBEDDER_PARAMS_INIT;
    tuff_embedder *e = NULL;
    params.batch_tokens = batch_tokens;
    KIT_OK(tuff_embedder_create(model, device, &params, &e));
    return e;
}

static void check(void **state)
{
    char path[64];
    tuff_model *model = NULL;
    snprintf(path, sizeof path, "golden/%s", (const char *)*state);
    KIT_OK(tuff_model_load(kit_asset(path), &model));
    static float alone[TEXTS * DIMENSIONS], together[TEXTS * DIMENSIONS], truth[TEXTS * DIMENSIONS];
    tuff_embedder *e = embedder_of(model, lavapipe, 0), *small = embedder_of(model, lavapipe, 30),
                  *host = embedder_of(model, cpu, 0);
    size_t d = (size_t)tuff_embedder_dimensions(e);
    for (size_t i = 0; i < TEXTS; i++)
        KIT_OK(tuff_embed_ids(e, &all[i], &counts[i], 1, NULL, alone + i * d));
    KIT_OK(tuff_embed_ids(e, all, counts, TEXTS, NULL, together));
    assert_memory_equal(together, alone, TEXTS * d * sizeof *alone);
    KIT_OK(tuff_embed_ids(small, all + 5, counts + 5, 7, NULL, together));
    assert_memory_equal(together, alone + 5 * d, 7 * d * sizeof *alone);
    KIT_OK(tuff_embed_ids(host, all, counts, TEXTS, NULL, truth));
    for (size_t i = 0; i < TEXTS * d; i++)
        if (!(fabsf(alone[i] - truth[i]) <= 3e-6f))
            fail_msg("number %zu: %g, on the CPU %g", i, (double)alone[i], (double)truth[i]);
    tuff_embedder_destroy(&e);
    tuff_embedder_destroy(&small);
    tuff_embedder_destroy(&host);
    tuff_model_destroy(&model);
}

int main(void)
{
    static char bert[] = "bert", llama[] = "llama", roberta[] = "roberta";
    const struct CMUnitTest tests[] = {
        {"bert", check, NULL, NULL, bert},
        {"roberta", check, NULL, NULL, roberta},
        {"llama", check, NULL, NULL, llama},
    };
    tuff_device_params software = TUFF_DEVICE_PARAMS_INIT, host = TUFF_DEVICE_PARAMS_INIT;
    software.name = "lavapipe";
    host.name = "cpu";
    if (tuff_device_open(&software, &lavapipe) != TUFF_OK) {
        printf("skipped: %s\n", tuff_error_message());
        return 77;
    }
    if (tuff_device_open(&host, &cpu) != TUFF_OK) return 1;
    for (size_t i = 0; i < TEXTS; i++) {
        all[i] = ids[i];
        counts[i] = 1 + i * 5 % LONGEST;
        for (size_t k = 0; k < counts[i]; k++)
            ids[i][k] = (int32_t)(46 * tuff_rng_uniform(7, i * LONGEST + k, 0, 0));
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    tuff_device_destroy(&lavapipe);
    tuff_device_destroy(&cpu);
    return failed;
}
