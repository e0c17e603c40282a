/* The losses of embedding training beside those of sentence-transformers (tests/reference/
 * make_embedding_goldens.py), alone and with rows that are not used. */
#include "train/tasks/embedding_losses.h"

#include <math.h>
#include <stdio.h>

#include "base/memory.h"
#include "formats/safetensors.h"
#include "kit/files.h"

enum { ROWS = 6, D = 12, MOST = 9 }; /* MOST: rows of a batch of which three are not used */

static tuff_device *device;
static tuff_weights *truth;

static int set_up(void **state)
{
    (void)state;
    KIT_OK(tuff_safetensors_open(kit_golden("embedding/losses.safetensors"), &truth));
    device = kit_cpu();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tuff_weights_destroy(&truth);
    tuff_device_destroy(&device);
    return 0;
}

static const tuff_weight *tensor(const char *name, const char *what)
{
    char full[64];
    snprintf(full, sizeof full, "%s.%s", name, what);
    return tuff_weights_find(truth, full);
}

static void read_floats(const char *name, const char *what, float *out)
{
    const tuff_weight *weight = tensor(name, what);
    assert_non_null(weight);
    KIT_OK(tuff_weight_read(weight, TUFF_F32, out));
}

/* The loss of the first ROWS of `rows` rows, and its gradient times 1 / labels. */
static double run(const tuff_vector_loss *loss, const float *vectors, const float *scores, float *gradient)
{
    tuff_graph *g = NULL;
    tuff_program *program = NULL;
    size_t n = (size_t)(loss->columns * loss->rows * D);
    KIT_OK(tuff_graph_create(&g));
    tuff_tensor *x = tuff_input(g, "vectors", TUFF_F32, 2, (int64_t[]){loss->columns * loss->rows, D}),
                *dx = NULL;
    tuff_tensor *sum = tuff_vector_loss_build(loss, g, x);
    double labels = (double)tuff_vector_loss_labels(loss, ROWS);
    tuff_tensor *mean = tuff_scale(g, sum, 1 / labels);
    tuff_graph_grad(g, mean, &x, 1, &dx);
    tuff_output(g, "mean", mean);
    tuff_output(g, "dx", dx);
    KIT_OK(tuff_program_create(device, &g, &program));
    void *scratch = tuff_alloc_array(tuff_vector_loss_words(loss), 4);
    float mean_value = 0;
    KIT_OK(tuff_program_input(program, "vectors", vectors, n * sizeof *vectors));
    KIT_OK(tuff_vector_loss_set(loss, program, ROWS, scores, scratch));
    KIT_OK(tuff_program_run(program));
    KIT_OK(tuff_program_output(program, "mean", &mean_value, sizeof mean_value));
    KIT_OK(tuff_program_output(program, "dx", gradient, n * sizeof *gradient));
    tuff_free(scratch);
    tuff_program_destroy(&program);
    return (double)mean_value;
}

/* Values within 1e-6 relative, gradients within 1e-6 of their largest. */
static void check(const char *name, const char *loss_name, int64_t columns)
{
    enum { N = 4 * ROWS * D, WIDE = 4 * MOST * D };
    float vectors[N], gradient[N], wanted[N], scores[ROWS], value, wide[WIDE], wide_gradient[WIDE];
    tuff_vector_loss_kind kind = tuff_vector_loss_find(loss_name);
    assert_true(kind < TUFF_VECTOR_LOSSES);
    read_floats(name, "vectors", vectors);
    read_floats(name, "gradient", wanted);
    read_floats(name, "loss", &value);
    assert_int_equal(tensor(name, "scores") != NULL, tuff_vector_loss_scored(kind));
    if (tensor(name, "scores")) read_floats(name, "scores", scores);
    tuff_vector_loss loss = tuff_vector_loss_of(kind, ROWS, columns);
    double found = run(&loss, vectors, scores, gradient), most = 0, off = 0;
    assert_true(fabs(found - (double)value) <= 1e-6 * fabs((double)value));
    for (int64_t i = 0; i < columns * ROWS * D; i++) {
        most = fmax(most, fabs((double)wanted[i]));
        off = kit_farther(off, (double)wanted[i], (double)gradient[i]);
    }
    if (!(off <= 1e-6 * most)) fail_msg("%s: gradients are off by %g of %g", name, off, most);

    memset(wide, 0, sizeof wide);
    for (int64_t c = 0; c < columns; c++)
        memcpy(wide + c * MOST * D, vectors + c * ROWS * D, ROWS * D * sizeof *wide);
    loss.rows = MOST;
    double again = run(&loss, wide, scores, wide_gradient);
    assert_true(fabs(again - found) <= 1e-6 * fabs(found));
    for (int64_t c = 0; c < columns; c++)
        for (int64_t i = 0; i < ROWS * D; i++)
            assert_true(fabs((double)wide_gradient[c * MOST * D + i] - (double)gradient[c * ROWS * D + i]) <=
                        1e-6 * most);
    for (int64_t i = 0; i < columns * MOST * D; i++)
        assert_true(isfinite(wide_gradient[i]));
}

static void losses_are_those_of_sentence_transformers(void **state)
{
    (void)state;
    check("mnrl", "mnrl", 2);
    check("mnrl_hard", "mnrl", 4);
    check("cosine", "cosine", 2);
    check("triplet", "triplet", 3);
    check("contrastive", "contrastive", 2);
    check("cosent", "cosent", 2);
}

/* Texts that are the same have distance 0, where a root has no gradient. */
static void equal_vectors_have_a_finite_gradient(void **state)
{
    (void)state;
    float vectors[3 * ROWS * D], gradient[3 * ROWS * D];
    tuff_vector_loss loss = tuff_vector_loss_of(TUFF_VECTOR_LOSS_TRIPLET, ROWS, 3);
    for (int i = 0; i < 3 * ROWS * D; i++)
        vectors[i] = (float)(i % (ROWS * D) % 5);
    assert_true(fabs(run(&loss, vectors, NULL, gradient) - 5) < 1e-6); /* the margin */
    for (int i = 0; i < 3 * ROWS * D; i++)
        assert_true(gradient[i] == 0);
}

static void scores_that_do_not_differ_order_nothing(void **state)
{
    (void)state;
    float vectors[2 * ROWS * D], gradient[2 * ROWS * D], scores[ROWS] = {1, 1, 1, 1, 1, 1};
    tuff_vector_loss loss = tuff_vector_loss_of(TUFF_VECTOR_LOSS_COSENT, ROWS, 2);
    for (int i = 0; i < 2 * ROWS * D; i++)
        vectors[i] = (float)(i % 7 - 3);
    assert_true(run(&loss, vectors, scores, gradient) == 0);
    for (int i = 0; i < 2 * ROWS * D; i++)
        assert_true(gradient[i] == 0);
}

static void names_are_found(void **state)
{
    (void)state;
    assert_string_equal(tuff_vector_loss_names(), "mnrl, cosine, triplet, contrastive, cosent");
    for (int i = 0; i < TUFF_VECTOR_LOSSES; i++)
        assert_int_equal(tuff_vector_loss_find(tuff_vector_loss_name((tuff_vector_loss_kind)i)), i);
    assert_int_equal(tuff_vector_loss_find("mse"), TUFF_VECTOR_LOSSES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_are_those_of_sentence_transformers),
        cmocka_unit_test(equal_vectors_have_a_finite_gradient),
        cmocka_unit_test(scores_that_do_not_differ_order_nothing),
        cmocka_unit_test(names_are_found),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
