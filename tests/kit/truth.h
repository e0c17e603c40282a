/* What tests of the goldens share: a device, a model of assets/golden and the truth beside it. */
#ifndef TUFF_TESTS_TRUTH_H
#define TUFF_TESTS_TRUTH_H

#include <math.h>
#include <stdio.h>

#include "adapters/adapter.h"
#include "base/memory.h"
#include "formats/safetensors.h"
#include "kit/kit.h"
#include "models/model.h"
#include "train/trainer.h"

static const char *device_name;
static tuff_device *device;

/* False, having said why, when there is no such device here. */
static inline bool open_device(const char *name)
{
    device_name = name;
    tuff_device_params params = TUFF_DEVICE_PARAMS_INIT;
    params.name = name;
    params.submit_ms =
        600000; /* however slow a loaded machine is, no program is cut anew, which would allocate */
    if (tuff_device_open(&params, &device) == TUFF_OK) return true;
    printf("skipped: %s\n", tuff_error_message());
    return false;
}

/* One golden: its model and its truth. */
typedef struct golden {
    const char *name;
    tuff_model *model;
    tuff_weights *truth;
} golden;

static inline golden load(const char *name, const char *truth)
{
    golden g = {.name = name};
    char path[256];
    snprintf(path, sizeof path, "golden/%s", name);
    KIT_OK(tuff_model_load(kit_asset(path), &g.model));
    snprintf(path, sizeof path, "golden/%s/%s", name, truth);
    KIT_OK(tuff_safetensors_open(kit_asset(path), &g.truth));
    return g;
}

static inline void unload(golden *g)
{
    tuff_weights_destroy(&g->truth);
    tuff_model_destroy(&g->model);
}

static inline const tuff_weight *tensor(const golden *g, const char *name)
{
    const tuff_weight *w = tuff_weights_find(g->truth, name);
    if (!w) fail_msg("%s: the truth has no %s", g->name, name);
    return w;
}

static inline float *floats(const golden *g, const char *name, size_t *out_n)
{
    const tuff_weight *w = tensor(g, name);
    *out_n = (size_t)tuff_weight_elements(w);
    float *values = tuff_alloc_array(*out_n, sizeof *values);
    assert_non_null(values);
    KIT_OK(tuff_weight_read(w, TUFF_F32, values));
    return values;
}

static inline int32_t *ints(const golden *g, const char *name, size_t *out_n)
{
    const tuff_weight *w = tensor(g, name);
    *out_n = (size_t)tuff_weight_elements(w);
    int32_t *values = tuff_alloc_array(*out_n, sizeof *values);
    assert_non_null(values);
    assert_int_equal(w->bytes, *out_n * sizeof *values);
    KIT_OK(tuff_weight_stored(w, values));
    return values;
}

/* Every element within `relative` of the largest magnitude of the truth. */
static inline void compare(const char *model, const char *what, const float *got, const float *want, size_t n,
                           double relative)
{
    double largest = 0, worst = 0;
    size_t at = 0;
    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs((double)want[i]));
    for (size_t i = 0; i < n; i++) {
        const double before = worst;
        worst = kit_farther(worst, (double)got[i], (double)want[i]);
        if (!(worst <= before) && !isnan(before)) at = i;
    }
    if (!(worst <= relative * largest))
        fail_msg("%s on %s: %s[%zu] is %.9g, the truth %.9g; off by %.3g of the largest %.3g, allowed %.3g",
                 model, device_name, what, at, (double)got[at], (double)want[at], worst, largest,
                 relative * largest);
}

/* Zero by mathematics: the truth but for double's rounding, what was found but for so much of f32's. */
static inline void compare_zeros(const char *model, const char *what, const float *got, const float *want,
                                 size_t n, float most)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabsf(want[i]) < 1e-12F && fabsf(got[i]) < most))
            fail_msg("%s on %s: %s[%zu] is %.9g, the truth %.9g, expected 0", model, device_name, what, i,
                     (double)got[i], (double)want[i]);
}

/* AdamW as the scripts that make goldens set it; with accumulation batches of `rows` come one row at a time.
 */
static inline tuff_train_params adamw_params(size_t steps, int64_t rows, bool accumulate)
{
    tuff_train_params p = TUFF_TRAIN_PARAMS_INIT;
    p.max_steps = (int64_t)steps;
    p.per_device_train_batch_size = accumulate ? 1 : rows;
    p.gradient_accumulation_steps = accumulate ? rows : 1;
    p.learning_rate = 1e-3;
    p.lr_scheduler_type = TUFF_SCHEDULE_CONSTANT;
    p.weight_decay = 0.01;
    p.no_shuffle = true;
    p.dropout = TUFF_DROPOUT_NONE;
    return p;
}

/* One step: its loss, and the norm of its gradient. */
static inline void check_step(const golden *g, const char *rule, tuff_trainer *trainer,
                              const float *want_loss, const float *want_norm)
{
    char what[64];
    tuff_train_step step = TUFF_TRAIN_STEP_INIT;
    KIT_OK(tuff_trainer_step(trainer, &step));
    const float loss = (float)step.loss, norm = (float)step.grad_norm;
    snprintf(what, sizeof what, "the loss of a step of %s", rule);
    compare(g->name, what, &loss, want_loss, 1, 1e-5);
    snprintf(what, sizeof what, "the gradient norm of a step of %s", rule);
    compare(g->name, what, &norm, want_norm, 1, 2e-4);
}

/* What an adapter of a golden begins with, into a trainer. */
static inline void begin_with_adapter(const char *path, tuff_trainer *trainer)
{
    tuff_adapter *initial = NULL;
    tuff_store *store = NULL;
    KIT_OK(tuff_adapter_open(trainer->model, path, NULL, &initial));
    KIT_OK(tuff_store_create(device, &store));
    if (initial->whole_count)
        KIT_OK(tuff_model_upload(trainer->model, false, NULL, store)); /* whose place these take */
    KIT_OK(tuff_adapter_upload(initial, store));
    for (size_t i = 0; i < tuff_store_count(store); i++) {
        const char *name;
        tuff_buffer *from = tuff_store_at(store, i, &name), *to = tuff_store_find(trainer->store, name);
        if (!to && initial->fixed_count) continue; /* of files alone */
        assert_non_null(to);
        assert_int_equal(tuff_buffer_count(from), tuff_buffer_count(to));
        float *values = tuff_alloc_array((size_t)tuff_buffer_count(from), sizeof *values);
        KIT_OK(tuff_buffer_read(from, 0, values, tuff_buffer_count(from)));
        KIT_OK(tuff_buffer_write(to, 0, values, tuff_buffer_count(from)));
        tuff_free(values);
    }
    tuff_store_destroy(&store);
    tuff_adapter_destroy(&initial);
}

/* How far losses may be from the truth, of themselves: 1e-5, or three times what PyTorch's own in f32 differ
 * from those in f64, if that is more. */
static inline double loss_bound(double drift)
{
    return fmax(1e-5, 3 * drift);
}

#endif
