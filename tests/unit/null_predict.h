/* Predictors and readers whose arguments are missing: see api_null_test.c. */
#ifndef TUFF_TESTS_NULL_PREDICT_H
#define TUFF_TESTS_NULL_PREDICT_H

#include "null_kit.h"

static const tuff_predict_input null_input = {{"a", 1}, {"b", 1}};

CALLS_OF(tuff_predictor_create)
{
    const tuff_predictor_params unset = {0};
    tuff_predictor *out;
    REFUSED(tuff_predictor_create(fixture.classifier, fixture.device, NULL, NULL));
    REFUSED_OUT(tuff_predictor_create(NULL, fixture.device, NULL, &out), out);
    REFUSED_OUT(tuff_predictor_create(fixture.classifier, NULL, NULL, &out), out);
    REFUSED_OUT(tuff_predictor_create(fixture.classifier, fixture.device, &unset, &out), out);
}
CALLS_OF(tuff_predictor_destroy)
{
    tuff_predictor *none = NULL;
    tuff_predictor_destroy(NULL);
    tuff_predictor_destroy(&none);
}
CALLS_OF(tuff_predictor_task)
{
    assert_int_equal(tuff_predictor_task(NULL), TUFF_PREDICT_MASKS);
}
CALLS_OF(tuff_predictor_labels)
{
    assert_int_equal(tuff_predictor_labels(NULL), 0);
}
CALLS_OF(tuff_predictor_label)
{
    assert_null(tuff_predictor_label(NULL, 0));
    assert_null(tuff_predictor_label(fixture.predictor, -1));
}
CALLS_OF(tuff_predictor_guesses)
{
    assert_int_equal(tuff_predictor_guesses(NULL), 0);
    assert_int_equal(tuff_predictor_guesses(fixture.predictor), 0);
}
CALLS_OF(tuff_predictor_max_length)
{
    assert_int_equal(tuff_predictor_max_length(NULL), 0);
}
CALLS_OF(tuff_fill_masks)
{
    const tuff_fill_params unset = {0};
    tuff_predict_result unset_result = {0};
    tuff_guess *out;
    size_t masks;
    REFUSED_OUT(tuff_fill_masks(NULL, &null_input, 1, NULL, &masks, &out, NULL), out);
    REFUSED_OUT(tuff_fill_masks(fixture.predictor, NULL, 1, NULL, &masks, &out, NULL), out);
    REFUSED_OUT(tuff_fill_masks(fixture.predictor, &null_input, 1, NULL, NULL, &out, NULL), out);
    REFUSED(tuff_fill_masks(fixture.predictor, &null_input, 1, NULL, &masks, NULL, NULL));
    REFUSED_OUT(tuff_fill_masks(fixture.predictor, &null_input, 1, &unset, &masks, &out, NULL), out);
    REFUSED_OUT(tuff_fill_masks(fixture.predictor, &null_input, 1, NULL, &masks, &out, &unset_result), out);
}
CALLS_OF(tuff_classify)
{
    const tuff_classify_params unset = {0};
    tuff_predict_result unset_result = {0};
    float out[8];
    REFUSED(tuff_classify(NULL, &null_input, 1, NULL, out, NULL));
    REFUSED(tuff_classify(fixture.predictor, NULL, 1, NULL, out, NULL));
    REFUSED(tuff_classify(fixture.predictor, &null_input, 1, NULL, NULL, NULL));
    REFUSED(tuff_classify(fixture.predictor, &null_input, 1, &unset, out, NULL));
    REFUSED(tuff_classify(fixture.predictor, &null_input, 1, NULL, out, &unset_result));
    KIT_OK(tuff_classify(fixture.predictor, NULL, 0, NULL, NULL, NULL));
}
CALLS_OF(tuff_find_entities)
{
    const tuff_entities_params unset = {0};
    tuff_predict_result unset_result = {0};
    tuff_entity *out;
    size_t count;
    REFUSED_OUT(tuff_find_entities(NULL, &null_input, 1, NULL, &out, &count, NULL), out);
    REFUSED_OUT(tuff_find_entities(fixture.predictor, NULL, 1, NULL, &out, &count, NULL), out);
    REFUSED(tuff_find_entities(fixture.predictor, &null_input, 1, NULL, NULL, &count, NULL));
    REFUSED_OUT(tuff_find_entities(fixture.predictor, &null_input, 1, NULL, &out, NULL, NULL), out);
    REFUSED_OUT(tuff_find_entities(fixture.predictor, &null_input, 1, &unset, &out, &count, NULL), out);
    REFUSED_OUT(tuff_find_entities(fixture.predictor, &null_input, 1, NULL, &out, &count, &unset_result),
                out);
}
CALLS_OF(tuff_answer_questions)
{
    const tuff_answer_params unset = {0};
    tuff_predict_result unset_result = {0};
    tuff_answer out;
    size_t count;
    REFUSED(tuff_answer_questions(NULL, &null_input, 1, NULL, &out, &count, NULL));
    REFUSED(tuff_answer_questions(fixture.predictor, NULL, 1, NULL, &out, &count, NULL));
    REFUSED(tuff_answer_questions(fixture.predictor, &null_input, 1, NULL, NULL, &count, NULL));
    REFUSED(tuff_answer_questions(fixture.predictor, &null_input, 1, NULL, &out, NULL, NULL));
    REFUSED(tuff_answer_questions(fixture.predictor, &null_input, 1, &unset, &out, &count, NULL));
    REFUSED(tuff_answer_questions(fixture.predictor, &null_input, 1, NULL, &out, &count, &unset_result));
}
CALLS_OF(tuff_reader_open)
{
    const char *const field = "text", *const none = NULL;
    tuff_reader *out;
    REFUSED(tuff_reader_open("in", &field, 1, NULL));
    REFUSED_OUT(tuff_reader_open(NULL, &field, 1, &out), out);
    REFUSED_OUT(tuff_reader_open("in", NULL, 1, &out), out);
    REFUSED_OUT(tuff_reader_open("in", &none, 1, &out), out);
    REFUSED_OUT(tuff_reader_open("in", &field, 0, &out), out);
}
CALLS_OF(tuff_reader_close)
{
    tuff_reader *none = NULL;
    tuff_reader_close(NULL);
    tuff_reader_close(&none);
}
CALLS_OF(tuff_reader_next)
{
    const char *path = kit_path("one.txt"), *const field = "text";
    tuff_reader *reader = NULL;
    tuff_piece value;
    bool there = false;
    kit_write_file(path, "one\n", 4);
    KIT_OK(tuff_reader_open(path, &field, 1, &reader));
    REFUSED(tuff_reader_next(NULL, &value, &there));
    REFUSED(tuff_reader_next(reader, NULL, &there));
    REFUSED(tuff_reader_next(reader, &value, NULL));
    KIT_OK(tuff_reader_next(reader, &value, &there));
    assert_true(there && value.size == 3 && memcmp(value.data, "one", 3) == 0);
    tuff_reader_position(reader, NULL, NULL);
    KIT_OK(tuff_reader_next(reader, &value, &there));
    assert_false(there);
    tuff_reader_close(&reader);
}
CALLS_OF(tuff_reader_position)
{
    uint64_t done = 1, total = 1;
    tuff_reader_position(NULL, &done, &total);
    assert_true(done == 0 && total == 0);
}

#endif
