/* Embedders whose arguments are missing: see api_null_test.c. */
#ifndef TUFF_TESTS_NULL_EMBED_H
#define TUFF_TESTS_NULL_EMBED_H

#include "null_kit.h"

CALLS_OF(tuff_embedder_create)
{
    const tuff_embedder_params unset = {0};
    tuff_embedder *out;
    REFUSED(tuff_embedder_create(fixture.model, fixture.device, NULL, NULL));
    REFUSED_OUT(tuff_embedder_create(NULL, fixture.device, NULL, &out), out);
    REFUSED_OUT(tuff_embedder_create(fixture.model, NULL, NULL, &out), out);
    REFUSED_OUT(tuff_embedder_create(fixture.model, fixture.device, &unset, &out), out);
}
CALLS_OF(tuff_embedder_destroy)
{
    tuff_embedder *none = NULL;
    tuff_embedder_destroy(NULL);
    tuff_embedder_destroy(&none);
}
CALLS_OF(tuff_embedder_full_dimensions)
{
    assert_int_equal(tuff_embedder_full_dimensions(NULL), 0);
}
CALLS_OF(tuff_embedder_dimensions)
{
    assert_int_equal(tuff_embedder_dimensions(NULL), 0);
}
CALLS_OF(tuff_embedder_max_length)
{
    assert_int_equal(tuff_embedder_max_length(NULL), 0);
}
CALLS_OF(tuff_embedder_prompt)
{
    assert_null(tuff_embedder_prompt(NULL, NULL));
    assert_null(tuff_embedder_prompt(NULL, "query"));
    assert_null(tuff_embedder_prompt(fixture.embedder, NULL));
}
CALLS_OF(tuff_embed)
{
    const char *const text = "a", *const none = NULL;
    const tuff_embed_params unset = {0};
    tuff_embed_result unset_result = {0};
    float out[64];
    REFUSED(tuff_embed(NULL, &text, NULL, 1, NULL, out, NULL));
    REFUSED(tuff_embed(fixture.embedder, NULL, NULL, 1, NULL, out, NULL));
    REFUSED(tuff_embed(fixture.embedder, &none, NULL, 1, NULL, out, NULL));
    REFUSED(tuff_embed(fixture.embedder, &text, NULL, 1, NULL, NULL, NULL));
    REFUSED(tuff_embed(fixture.embedder, &text, NULL, 1, &unset, out, NULL));
    REFUSED(tuff_embed(fixture.embedder, &text, NULL, 1, NULL, out, &unset_result));
    KIT_OK(tuff_embed(fixture.embedder, NULL, NULL, 0, NULL, NULL, NULL));
}
CALLS_OF(tuff_embed_ids)
{
    const int32_t id = 1, *const ids = &id, *const none = NULL;
    const size_t one = 1;
    const tuff_embed_params unset = {0};
    float out[64];
    REFUSED(tuff_embed_ids(NULL, &ids, &one, 1, NULL, out));
    REFUSED(tuff_embed_ids(fixture.embedder, NULL, &one, 1, NULL, out));
    REFUSED(tuff_embed_ids(fixture.embedder, &none, &one, 1, NULL, out));
    REFUSED(tuff_embed_ids(fixture.embedder, &ids, NULL, 1, NULL, out));
    REFUSED(tuff_embed_ids(fixture.embedder, &ids, &one, 1, NULL, NULL));
    REFUSED(tuff_embed_ids(fixture.embedder, &ids, &one, 1, &unset, out));
    KIT_OK(tuff_embed_ids(fixture.embedder, NULL, NULL, 0, NULL, NULL));
}
CALLS_OF(tuff_embed_file)
{
    const tuff_embed_file_params unset = {0};
    tuff_embed_file_result unset_result = {0};
    REFUSED(tuff_embed_file(NULL, "in", "out", NULL, NULL));
    REFUSED(tuff_embed_file(fixture.embedder, NULL, "out", NULL, NULL));
    REFUSED(tuff_embed_file(fixture.embedder, "in", NULL, NULL, NULL));
    REFUSED(tuff_embed_file(fixture.embedder, "in", "out", &unset, NULL));
    REFUSED(tuff_embed_file(fixture.embedder, "in", "out", NULL, &unset_result));
}
CALLS_OF(tuff_embed_tokens)
{
    const char *const text = "a";
    const tuff_embed_params unset = {0};
    tuff_embed_result unset_result = {0};
    float *out;
    size_t count;
    REFUSED_OUT(tuff_embed_tokens(NULL, &text, NULL, 1, NULL, &count, &out, NULL), out);
    REFUSED_OUT(tuff_embed_tokens(fixture.embedder, NULL, NULL, 1, NULL, &count, &out, NULL), out);
    REFUSED_OUT(tuff_embed_tokens(fixture.embedder, &text, NULL, 1, NULL, NULL, &out, NULL), out);
    REFUSED(tuff_embed_tokens(fixture.embedder, &text, NULL, 1, NULL, &count, NULL, NULL));
    REFUSED_OUT(tuff_embed_tokens(fixture.embedder, &text, NULL, 1, &unset, &count, &out, NULL), out);
    REFUSED_OUT(tuff_embed_tokens(fixture.embedder, &text, NULL, 1, NULL, &count, &out, &unset_result), out);
}
CALLS_OF(tuff_embed_chunks)
{
    const char *const text = "a", *const none = NULL;
    const tuff_chunk_params unset = {0};
    tuff_embed_result unset_result = {0};
    tuff_chunk *out;
    float *vectors;
    size_t count;
    REFUSED_OUT(tuff_embed_chunks(NULL, &text, NULL, 1, NULL, &out, &count, &vectors, NULL), out);
    REFUSED_OUT(tuff_embed_chunks(fixture.embedder, NULL, NULL, 1, NULL, &out, &count, &vectors, NULL), out);
    REFUSED_OUT(tuff_embed_chunks(fixture.embedder, &none, NULL, 1, NULL, &out, &count, &vectors, NULL), out);
    REFUSED(tuff_embed_chunks(fixture.embedder, &text, NULL, 1, NULL, NULL, &count, &vectors, NULL));
    REFUSED_OUT(tuff_embed_chunks(fixture.embedder, &text, NULL, 1, NULL, &out, NULL, &vectors, NULL), out);
    REFUSED_OUT(tuff_embed_chunks(fixture.embedder, &text, NULL, 1, NULL, &out, &count, NULL, NULL), out);
    REFUSED_OUT(tuff_embed_chunks(fixture.embedder, &text, NULL, 1, &unset, &out, &count, &vectors, NULL),
                out);
    REFUSED_OUT(
        tuff_embed_chunks(fixture.embedder, &text, NULL, 1, NULL, &out, &count, &vectors, &unset_result),
        out);
}
CALLS_OF(tuff_chunks_read)
{
    tuff_chunk *out;
    size_t count;
    REFUSED_OUT(tuff_chunks_read(NULL, &out, &count), out);
    REFUSED(tuff_chunks_read("in", NULL, &count));
    REFUSED_OUT(tuff_chunks_read("in", &out, NULL), out);
}
CALLS_OF(tuff_record_texts)
{
    const int64_t row = 0;
    char *text;
    REFUSED(tuff_record_texts(NULL, NULL, &row, 1, &text));
    REFUSED(tuff_record_texts("in", NULL, NULL, 1, &text));
    REFUSED(tuff_record_texts("in", NULL, &row, 1, NULL));
}
CALLS_OF(tuff_index_open)
{
    tuff_index *out;
    REFUSED(tuff_index_open("in", fixture.device, NULL));
    REFUSED_OUT(tuff_index_open(NULL, fixture.device, &out), out);
    REFUSED_OUT(tuff_index_open("in", NULL, &out), out);
}
CALLS_OF(tuff_record_check)
{
    REFUSED(tuff_record_check(NULL, "in", NULL));
    REFUSED(tuff_record_check("in", NULL, NULL));
}
CALLS_OF(tuff_embedder_check)
{
    REFUSED(tuff_embedder_check(NULL, "in"));
    REFUSED(tuff_embedder_check(fixture.embedder, NULL));
}
CALLS_OF(tuff_index_create)
{
    const float vector[1] = {1};
    tuff_index *out;
    REFUSED(tuff_index_create(vector, 1, 1, fixture.device, NULL));
    REFUSED_OUT(tuff_index_create(NULL, 1, 1, fixture.device, &out), out);
    REFUSED_OUT(tuff_index_create(vector, 1, 1, NULL, &out), out);
}
CALLS_OF(tuff_index_add)
{
    const float vector[1] = {1};
    REFUSED(tuff_index_add(NULL, vector, 1));
    REFUSED(tuff_index_add(fixture.index, NULL, 1));
}
CALLS_OF(tuff_index_remove)
{
    const int64_t row = 0;
    REFUSED(tuff_index_remove(NULL, &row, 1));
    REFUSED(tuff_index_remove(fixture.index, NULL, 1));
}
CALLS_OF(tuff_index_destroy)
{
    tuff_index *none = NULL;
    tuff_index_destroy(NULL);
    tuff_index_destroy(&none);
}
CALLS_OF(tuff_index_count)
{
    assert_int_equal(tuff_index_count(NULL), 0);
}
CALLS_OF(tuff_index_dimensions)
{
    assert_int_equal(tuff_index_dimensions(NULL), 0);
}
CALLS_OF(tuff_index_search)
{
    const float query = 1;
    tuff_hit hit;
    REFUSED(tuff_index_search(NULL, &query, 1, 1, NULL, &hit));
    REFUSED(tuff_index_search(fixture.index, NULL, 1, 1, NULL, &hit));
    REFUSED(tuff_index_search(fixture.index, &query, 1, 1, NULL, NULL));
    REFUSED(tuff_index_search(fixture.index, &query, 1, 0, NULL, &hit));
}
CALLS_OF(tuff_measure_sts)
{
    const tuff_sts_params unset = {0};
    tuff_sts_result out = TUFF_STS_RESULT_INIT, unset_result = {0};
    REFUSED(tuff_measure_sts(NULL, "in.csv", NULL, &out));
    REFUSED(tuff_measure_sts(fixture.embedder, NULL, NULL, &out));
    REFUSED(tuff_measure_sts(fixture.embedder, "in.csv", &unset, &out));
    REFUSED(tuff_measure_sts(fixture.embedder, "in.csv", NULL, NULL));
    REFUSED(tuff_measure_sts(fixture.embedder, "in.csv", NULL, &unset_result));
}
CALLS_OF(tuff_measure_retrieval)
{
    const tuff_retrieval_params unset = {0};
    tuff_retrieval_result out = TUFF_RETRIEVAL_RESULT_INIT, unset_result = {0};
    REFUSED(tuff_measure_retrieval(NULL, "d", "q", "r", NULL, &out));
    REFUSED(tuff_measure_retrieval(fixture.embedder, NULL, "q", "r", NULL, &out));
    REFUSED(tuff_measure_retrieval(fixture.embedder, "d", NULL, "r", NULL, &out));
    REFUSED(tuff_measure_retrieval(fixture.embedder, "d", "q", NULL, NULL, &out));
    REFUSED(tuff_measure_retrieval(fixture.embedder, "d", "q", "r", &unset, &out));
    REFUSED(tuff_measure_retrieval(fixture.embedder, "d", "q", "r", NULL, NULL));
    REFUSED(tuff_measure_retrieval(fixture.embedder, "d", "q", "r", NULL, &unset_result));
}

#endif
