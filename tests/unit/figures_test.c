/* Figures of predictions against those of scikit-learn, SciPy, seqeval, sacrebleu and rouge-score
 * (assets/golden/metrics, made by tests/reference/make_metric_goldens.py). */
#include "train/figures.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "kit/kit.h"
#include "train/bleu.h"
#include "train/entities.h"
#include "train/porter.h"
#include "train/text_scores.h"

static cJSON *truth;

static int open_truth(void **state)
{
    (void)state;
    return tuff_json_read(kit_asset("golden/metrics/truth.json"), &truth) != TUFF_OK;
}

static int close_truth(void **state)
{
    (void)state;
    cJSON_Delete(truth);
    return 0;
}

static const cJSON *get(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!item) fail_msg("the truth has no %s", key);
    return item;
}

static tuff_view text_of(const cJSON *item)
{
    return tuff_view_of(item->valuestring);
}

static int32_t whole(const cJSON *item)
{
    return (int32_t)item->valuedouble;
}

/* All figures of the truth are there, and no others. */
static void compare(const tuff_eval_result *found, const cJSON *expected, const char *what, int number)
{
    const cJSON *item;
    double value;
    cJSON_ArrayForEach(item, expected)
    {
        if (!tuff_eval_find(found, item->string, &value))
            fail_msg("%s %d: no %s", what, number, item->string);
        if (cJSON_IsNull(item) ? isnan(value) : fabs(value - item->valuedouble) < 1e-11) continue;
        fail_msg("%s %d: %s is %.17g, expected %.17g", what, number, item->string, value,
                 cJSON_IsNull(item) ? (double)NAN : item->valuedouble);
    }
    assert_int_equal(found->count, cJSON_GetArraySize(expected));
}

static void classes_are_counted_as_by_scikit_learn(void **state)
{
    (void)state;
    const cJSON *c;
    int number = 0;
    cJSON_ArrayForEach(c, get(truth, "classes"))
    {
        tuff_eval_result out = TUFF_EVAL_RESULT_INIT;
        tuff_figures f;
        const cJSON *a = get(c, "truth")->child, *b = get(c, "said")->child;
        KIT_OK(tuff_figures_begin(&f, (size_t)whole(get(c, "classes"))));
        for (; a; a = a->next, b = b->next)
            tuff_figures_add(&f, (size_t)whole(a), (size_t)whole(b));
        tuff_figures_put(&f, false, &out);
        tuff_figures_end(&f);
        compare(&out, get(c, "figures"), "classes", number++);
    }
    assert_true(number > 10);
}

static void sets_of_labels_are_counted_as_by_scikit_learn(void **state)
{
    enum { MOST = 16 };
    (void)state;
    const cJSON *c, *label;
    int number = 0;
    cJSON_ArrayForEach(c, get(truth, "sets"))
    {
        tuff_eval_result out = TUFF_EVAL_RESULT_INIT;
        tuff_figures f;
        const size_t classes = (size_t)whole(get(c, "classes"));
        const cJSON *a = get(c, "truth")->child, *b = get(c, "said")->child;
        KIT_OK(tuff_figures_begin(&f, classes));
        for (; a; a = a->next, b = b->next) {
            float logits[MOST];
            int32_t labels[MOST];
            size_t n = 0;
            for (size_t k = 0; k < classes; k++)
                logits[k] = -0.5F;
            cJSON_ArrayForEach(label, a) labels[n++] = whole(label);
            cJSON_ArrayForEach(label, b) logits[whole(label)] = 0.25F;
            tuff_figures_add_set(&f, labels, n, logits);
        }
        tuff_figures_put(&f, true, &out);
        tuff_figures_end(&f);
        compare(&out, get(c, "figures"), "sets", number++);
    }
    assert_true(number > 3);
}

static size_t floats_of(const cJSON *list, float *out)
{
    size_t n = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, list) out[n++] = (float)item->valuedouble;
    return n;
}

/* What SciPy refuses, the correlation of one pair, is NaN here. */
static void numbers_are_compared_as_by_scikit_learn_and_scipy(void **state)
{
    enum { MOST = 64 };
    (void)state;
    const cJSON *c;
    int number = 0;
    cJSON_ArrayForEach(c, get(truth, "numbers"))
    {
        tuff_eval_result out = TUFF_EVAL_RESULT_INIT;
        float a[MOST], b[MOST];
        const size_t n = floats_of(get(c, "truth"), a);
        assert_int_equal(n, floats_of(get(c, "said"), b));
        KIT_OK(tuff_figures_of_numbers(b, a, n, &out));
        if (fabsf(a[0]) < 1e6F)
            compare(&out, get(c, "figures"), "numbers", number);
        else { /* errors are as large as the numbers */
            const cJSON *item;
            double value;
            cJSON_ArrayForEach(item, get(c, "figures"))
            {
                assert_true(tuff_eval_find(&out, item->string, &value));
                assert_true(fabs(value - item->valuedouble) <= 1e-12 * fabs(item->valuedouble));
            }
        }
        number++;
    }
    assert_true(number > 8);
}

static size_t pairs_of(const cJSON *a, const cJSON *b, int32_t *out)
{
    size_t n = 0;
    for (a = a->child, b = b->child; a; a = a->next, b = b->next) {
        out[2 * n] = whole(a);
        out[2 * n++ + 1] = whole(b);
    }
    return n;
}

static void entities_are_found_as_by_seqeval(void **state)
{
    enum { MOST = 16 };
    (void)state;
    const cJSON *c, *label;
    int number = 0;
    cJSON_ArrayForEach(c, get(truth, "entities"))
    {
        tuff_eval_result out = TUFF_EVAL_RESULT_INIT;
        tuff_entities e;
        const char *labels[MOST];
        size_t n = 0;
        int32_t pairs[2 * MOST];
        const cJSON *a = get(c, "truth")->child, *b = get(c, "said")->child;
        cJSON_ArrayForEach(label, get(c, "labels")) labels[n++] = label->valuestring;
        assert_true(tuff_entities_are(labels, n));
        KIT_OK(tuff_entities_begin(&e, labels, n));
        for (; a; a = a->next, b = b->next)
            tuff_entities_add(&e, pairs, pairs_of(a, b, pairs));
        tuff_entities_put(&e, &out);
        tuff_entities_end(&e);
        compare(&out, get(c, "figures"), "entities", number++);
    }
    assert_true(number > 10);
}

static void labels_that_are_none_of_entities_are_told(void **state)
{
    (void)state;
    assert_true(tuff_entities_are((const char *const[]){"O", "S-X"}, 2));
    assert_false(tuff_entities_are((const char *const[]){"O"}, 1));
    assert_false(tuff_entities_are((const char *const[]){"O", "NOUN", "VERB"}, 3));
    assert_false(tuff_entities_are((const char *const[]){"B-X", "Inside"}, 2));
    assert_false(tuff_entities_are((const char *const[]){"B-X", ""}, 2));
    assert_false(tuff_entities_are((const char *const[]){"LABEL_0", "LABEL_1"}, 2));
}

static void texts_are_compared_as_by_sacrebleu_and_rouge_score(void **state)
{
    (void)state;
    const cJSON *c;
    int number = 0;
    cJSON_ArrayForEach(c, get(truth, "texts"))
    {
        const char *const figures[] = {"figures", "stemmed"};
        for (int stem = 0; stem < 2; stem++) {
            tuff_eval_result out = TUFF_EVAL_RESULT_INIT;
            tuff_text_scores s = {.stem = stem};
            const cJSON *a = get(c, "truth")->child, *b = get(c, "said")->child, *item;
            for (; a; a = a->next, b = b->next)
                KIT_OK(tuff_text_scores_add(&s, text_of(b), text_of(a)));
            tuff_text_scores_put(&s, &out);
            if (!stem) {
                compare(&out, get(c, figures[stem]), "texts", number++);
                continue;
            }
            double value;
            cJSON_ArrayForEach(item, get(c, figures[stem]))
            {
                assert_true(tuff_eval_find(&out, item->string, &value));
                if (!(fabs(value - item->valuedouble) < 1e-11))
                    fail_msg("texts %d, stemmed: %s is %.17g, expected %.17g", number, item->string, value,
                             item->valuedouble);
            }
        }
    }
    assert_true(number > 15);
}

static void lines_are_cut_into_words_as_by_13a(void **state)
{
    (void)state;
    const cJSON *c;
    tuff_buf out = {0};
    cJSON_ArrayForEach(c, get(truth, "tokenized"))
    {
        KIT_OK(tuff_bleu_tokenize(text_of(c->child), &out));
        assert_string_equal(out.data ? out.data : "", c->child->next->valuestring);
    }
    tuff_buf_free(&out);
}

static void words_lose_their_endings_as_by_nltk(void **state)
{
    (void)state;
    const cJSON *c;
    int number = 0;
    cJSON_ArrayForEach(c, get(truth, "stems"))
    {
        char word[64];
        size_t size = strlen(c->string);
        memcpy(word, c->string, size);
        tuff_porter_stem(word, &size);
        word[size] = 0;
        if (strcmp(word, c->valuestring) != 0)
            fail_msg("the stem of %s is %s, expected %s", c->string, word, c->valuestring);
        number++;
    }
    assert_true(number > 1000);
}

/* Bytes that are no UTF-8, as models may make them, count as characters. */
static void broken_texts_are_compared(void **state)
{
    (void)state;
    tuff_chrf chrf = {0};
    const tuff_view broken = tuff_view_of("a\xff\xe6\x9d b"), other = tuff_view_of("a\xfe\xe6\x9d b");
    KIT_OK(tuff_chrf_add(&chrf, broken, broken));
    assert_true(tuff_chrf_score(&chrf) == 100);
    KIT_OK(tuff_chrf_add(&chrf, broken, other));
    assert_true(tuff_chrf_score(&chrf) < 100);
    tuff_rouge rouge;
    KIT_OK(tuff_rouge_score(broken, other, true, &rouge));
    assert_true(rouge.one == 1 && rouge.l_sum == 1);
    tuff_bleu bleu = {0};
    KIT_OK(tuff_bleu_add(&bleu, broken, broken));
    assert_int_equal(bleu.shared[0], 2);
}

static tuff_status score_two(void *user)
{
    tuff_text_scores s = {.stem = true};
    (void)user;
    return tuff_text_scores_add(&s, tuff_view_of("running, cats\nand dogs"),
                                tuff_view_of("a cat runs\nto dogs"));
}

static void memory_may_fail(void **state)
{
    (void)state;
    assert_true(kit_for_each_allocation_failure(score_two, NULL) > 20);
}

/* A program that was built when results had fewer figures gets as many as it has room for. */
static void older_results_get_fewer_figures(void **state)
{
    (void)state;
    enum { ROOM = 8 };
    tuff_eval_result all = TUFF_EVAL_RESULT_INIT, out = TUFF_EVAL_RESULT_INIT;
    for (int i = 0; i < TUFF_EVAL_FIGURES + 1; i++) {
        char name[8];
        snprintf(name, sizeof name, "f%d", i);
        tuff_eval_put(&all, name, i);
    }
    assert_int_equal(all.count, TUFF_EVAL_FIGURES);
    memset(out.figures, 0x55, sizeof out.figures);
    out.struct_size = offsetof(tuff_eval_result, figures) + ROOM * sizeof *out.figures;
    KIT_OK(tuff_eval_give(&out, &all));
    double value = 0;
    assert_int_equal(out.count, ROOM);
    assert_true(tuff_eval_find(&out, "f7", &value) && value == 7);
    assert_false(tuff_eval_find(&out, "f8", &value));
    assert_int_equal(out.figures[ROOM].name[0], 0x55);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_are_counted_as_by_scikit_learn),
        cmocka_unit_test(sets_of_labels_are_counted_as_by_scikit_learn),
        cmocka_unit_test(numbers_are_compared_as_by_scikit_learn_and_scipy),
        cmocka_unit_test(entities_are_found_as_by_seqeval),
        cmocka_unit_test(labels_that_are_none_of_entities_are_told),
        cmocka_unit_test(texts_are_compared_as_by_sacrebleu_and_rouge_score),
        cmocka_unit_test(lines_are_cut_into_words_as_by_13a),
        cmocka_unit_test(words_lose_their_endings_as_by_nltk),
        cmocka_unit_test(broken_texts_are_compared),
        cmocka_unit_test(memory_may_fail),
        cmocka_unit_test(older_results_get_fewer_figures),
    };
    return cmocka_run_group_tests(tests, open_truth, close_truth);
}
