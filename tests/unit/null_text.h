/* Tokenizers, samplers and stop strings whose arguments are missing: see api_null_test.c. */
#ifndef TUFF_TESTS_NULL_TEXT_H
#define TUFF_TESTS_NULL_TEXT_H

#include "null_kit.h"

CALLS_OF(tuff_tokenizer_load)
{
    tuff_tokenizer *out;
    REFUSED(tuff_tokenizer_load("x", NULL));
    REFUSED_OUT(tuff_tokenizer_load(NULL, &out), out);
}
CALLS_OF(tuff_tokenizer_from_json)
{
    tuff_tokenizer *out;
    REFUSED(tuff_tokenizer_from_json("{}", 2, NULL, 0, "x", NULL));
    REFUSED_OUT(tuff_tokenizer_from_json(NULL, 0, NULL, 0, "x", &out), out);
    REFUSED_OUT(tuff_tokenizer_from_json("{}", 2, NULL, 2, "x", &out), out);
    REFUSED_OUT(tuff_tokenizer_from_json("{}", 2, NULL, 0, NULL, &out), out);
}
CALLS_OF(tuff_tokenizer_from_vocab)
{
    tuff_tokenizer *out;
    REFUSED(tuff_tokenizer_from_vocab("{}", 2, "", 0, NULL, 0, "x", NULL));
    REFUSED_OUT(tuff_tokenizer_from_vocab(NULL, 0, "", 0, NULL, 0, "x", &out), out);
    REFUSED_OUT(tuff_tokenizer_from_vocab("{}", 2, NULL, 0, NULL, 0, "x", &out), out);
    REFUSED_OUT(tuff_tokenizer_from_vocab("{}", 2, "", 0, NULL, 2, "x", &out), out);
    REFUSED_OUT(tuff_tokenizer_from_vocab("{}", 2, "", 0, NULL, 0, NULL, &out), out);
}
CALLS_OF(tuff_tokenizer_from_wordpiece)
{
    tuff_tokenizer *out;
    REFUSED(tuff_tokenizer_from_wordpiece("[UNK]", 5, NULL, 0, "x", NULL));
    REFUSED_OUT(tuff_tokenizer_from_wordpiece(NULL, 0, NULL, 0, "x", &out), out);
    REFUSED_OUT(tuff_tokenizer_from_wordpiece("[UNK]", 5, NULL, 2, "x", &out), out);
    REFUSED_OUT(tuff_tokenizer_from_wordpiece("[UNK]", 5, NULL, 0, NULL, &out), out);
}
CALLS_OF(tuff_tokenizer_from_sentencepiece)
{
    tuff_tokenizer *out;
    REFUSED(tuff_tokenizer_from_sentencepiece("", 0, NULL, 0, "x", NULL));
    REFUSED_OUT(tuff_tokenizer_from_sentencepiece(NULL, 0, NULL, 0, "x", &out), out);
    REFUSED_OUT(tuff_tokenizer_from_sentencepiece("", 0, NULL, 2, "x", &out), out);
    REFUSED_OUT(tuff_tokenizer_from_sentencepiece("", 0, NULL, 0, NULL, &out), out);
}
CALLS_OF(tuff_tokenizer_from_desc)
{
    tuff_tokenizer *out;
    tuff_vocab_desc desc = TUFF_VOCAB_DESC_INIT, unset = desc;
    desc.kind = "gpt2";
    desc.size = 1;
    unset.struct_size = 0;
    REFUSED(tuff_tokenizer_from_desc(&desc, "x", NULL));
    REFUSED_OUT(tuff_tokenizer_from_desc(NULL, "x", &out), out);
    REFUSED_OUT(tuff_tokenizer_from_desc(&desc, NULL, &out), out);
    REFUSED_OUT(tuff_tokenizer_from_desc(&desc, "no tokens", &out), out);
    REFUSED_OUT(tuff_tokenizer_from_desc(&unset, "x", &out), out);
}
CALLS_OF(tuff_tokenizer_destroy)
{
    tuff_tokenizer *none = NULL;
    tuff_tokenizer_destroy(NULL);
    tuff_tokenizer_destroy(&none);
}
CALLS_OF(tuff_tokenizer_save)
{
    REFUSED(tuff_tokenizer_save(NULL, "x"));
    REFUSED(tuff_tokenizer_save(fixture.tokenizer, NULL));
}
CALLS_OF(tuff_vocab_export_create)
{
    tuff_vocab_export *out;
    REFUSED(tuff_vocab_export_create(fixture.tokenizer, NULL));
    REFUSED_OUT(tuff_vocab_export_create(NULL, &out), out);
}
CALLS_OF(tuff_vocab_export_desc)
{
    assert_null(tuff_vocab_export_desc(NULL));
}
CALLS_OF(tuff_vocab_export_destroy)
{
    tuff_vocab_export *none = NULL;
    tuff_vocab_export_destroy(NULL);
    tuff_vocab_export_destroy(&none);
}
CALLS_OF(tuff_tokenizer_vocab_size)
{
    assert_int_equal(tuff_tokenizer_vocab_size(NULL), 0);
}
CALLS_OF(tuff_tokenizer_check_model)
{
    REFUSED(tuff_tokenizer_check_model(NULL, 1));
}
CALLS_OF(tuff_tokenizer_token)
{
    assert_null(tuff_tokenizer_token(NULL, 0).data);
    assert_null(tuff_tokenizer_token(fixture.tokenizer, -1).data);
}
CALLS_OF(tuff_tokenizer_token_type)
{
    assert_int_equal(tuff_tokenizer_token_type(NULL, 0), TUFF_TOKEN_UNUSED);
}
CALLS_OF(tuff_tokenizer_id)
{
    assert_int_equal(tuff_tokenizer_id(NULL, "a", 1), -1);
    assert_int_equal(tuff_tokenizer_id(fixture.tokenizer, NULL, 1), -1);
    assert_int_equal(tuff_tokenizer_id(fixture.tokenizer, NULL, 0), -1);
}
CALLS_OF(tuff_tokenizer_bos)
{
    assert_int_equal(tuff_tokenizer_bos(NULL), -1);
}
CALLS_OF(tuff_tokenizer_unk)
{
    assert_int_equal(tuff_tokenizer_unk(NULL), -1);
}
CALLS_OF(tuff_tokenizer_pad)
{
    assert_int_equal(tuff_tokenizer_pad(NULL), -1);
}
CALLS_OF(tuff_tokenizer_cls)
{
    assert_int_equal(tuff_tokenizer_cls(NULL), -1);
}
CALLS_OF(tuff_tokenizer_sep)
{
    assert_int_equal(tuff_tokenizer_sep(NULL), -1);
}
CALLS_OF(tuff_tokenizer_mask)
{
    assert_int_equal(tuff_tokenizer_mask(NULL), -1);
}
CALLS_OF(tuff_tokenizer_eos_count)
{
    assert_int_equal(tuff_tokenizer_eos_count(NULL), 0);
}
CALLS_OF(tuff_tokenizer_eos)
{
    assert_int_equal(tuff_tokenizer_eos(NULL, 0), -1);
}
CALLS_OF(tuff_tokenizer_is_eos)
{
    assert_false(tuff_tokenizer_is_eos(NULL, 0));
}
CALLS_OF(tuff_tokenizer_chat_template)
{
    assert_null(tuff_tokenizer_chat_template(NULL).data);
}
CALLS_OF(tuff_tokenizer_kind)
{
    assert_string_equal(tuff_tokenizer_kind(NULL), "");
}
CALLS_OF(tuff_tokenizer_encode)
{
    int32_t *ids;
    size_t n;
    REFUSED_OUT(tuff_tokenizer_encode(NULL, "a", 1, 0, &ids, &n), ids);
    REFUSED_OUT(tuff_tokenizer_encode(fixture.tokenizer, NULL, 1, 0, &ids, &n), ids);
    REFUSED(tuff_tokenizer_encode(fixture.tokenizer, "a", 1, 0, NULL, &n));
    REFUSED_OUT(tuff_tokenizer_encode(fixture.tokenizer, "a", 1, 0, &ids, NULL), ids);
    KIT_OK(tuff_tokenizer_encode(fixture.tokenizer, NULL, 0, 0, &ids, &n));
    assert_int_equal(n, 0);
    tuff_free(ids);
}
CALLS_OF(tuff_tokenizer_encode_watched)
{
    tuff_watch unset = {0, NULL, NULL, NULL};
    int32_t *ids;
    size_t n;
    REFUSED_OUT(tuff_tokenizer_encode_watched(NULL, "a", 1, 0, NULL, &ids, &n), ids);
    REFUSED_OUT(tuff_tokenizer_encode_watched(fixture.tokenizer, "a", 1, 0, &unset, &ids, &n), ids);
}
CALLS_OF(tuff_tokenizer_encode_pair)
{
    const tuff_piece none = {NULL, 0}, broken = {NULL, 1};
    tuff_encode_params unset = TUFF_ENCODE_PARAMS_INIT;
    tuff_encoding *out;
    unset.struct_size = 0;
    REFUSED(tuff_tokenizer_encode_pair(fixture.tokenizer, none, none, NULL, NULL));
    REFUSED_OUT(tuff_tokenizer_encode_pair(NULL, none, none, NULL, &out), out);
    REFUSED_OUT(tuff_tokenizer_encode_pair(fixture.tokenizer, broken, none, NULL, &out), out);
    REFUSED_OUT(tuff_tokenizer_encode_pair(fixture.tokenizer, none, broken, NULL, &out), out);
    REFUSED_OUT(tuff_tokenizer_encode_pair(fixture.tokenizer, none, none, &unset, &out), out);
    KIT_OK(tuff_tokenizer_encode_pair(fixture.tokenizer, none, none, NULL, &out));
    tuff_encoding_destroy(&out);
}
CALLS_OF(tuff_encoding_destroy)
{
    tuff_encoding *none = NULL;
    tuff_encoding_destroy(NULL);
    tuff_encoding_destroy(&none);
}
CALLS_OF(tuff_tokenizer_special_count)
{
    assert_int_equal(tuff_tokenizer_special_count(NULL, true), 0);
}
CALLS_OF(tuff_tokenizer_decode)
{
    int32_t id = 0;
    char *text;
    size_t n;
    REFUSED_OUT(tuff_tokenizer_decode(NULL, &id, 1, false, &text, &n), text);
    REFUSED_OUT(tuff_tokenizer_decode(fixture.tokenizer, NULL, 1, false, &text, &n), text);
    REFUSED(tuff_tokenizer_decode(fixture.tokenizer, &id, 1, false, NULL, &n));
    REFUSED_OUT(tuff_tokenizer_decode(fixture.tokenizer, &id, 1, false, &text, NULL), text);
    KIT_OK(tuff_tokenizer_decode(fixture.tokenizer, NULL, 0, false, &text, &n));
    assert_string_equal(text, "");
    tuff_free(text);
}
CALLS_OF(tuff_tokenizer_decode_token)
{
    char *text;
    size_t n;
    REFUSED_OUT(tuff_tokenizer_decode_token(NULL, 0, &text, &n), text);
    REFUSED(tuff_tokenizer_decode_token(fixture.tokenizer, 0, NULL, &n));
    REFUSED_OUT(tuff_tokenizer_decode_token(fixture.tokenizer, 0, &text, NULL), text);
    KIT_OK(tuff_tokenizer_decode_token(fixture.tokenizer, -1, &text, &n));
    assert_string_equal(text, "");
    tuff_free(text);
}
CALLS_OF(tuff_decoder_create)
{
    tuff_decoder *out;
    REFUSED(tuff_decoder_create(fixture.tokenizer, false, NULL));
    REFUSED_OUT(tuff_decoder_create(NULL, false, &out), out);
}
CALLS_OF(tuff_decoder_feed)
{
    tuff_piece piece;
    REFUSED(tuff_decoder_feed(NULL, 0, &piece));
    REFUSED(tuff_decoder_feed(fixture.decoder, 0, NULL));
}
CALLS_OF(tuff_decoder_flush)
{
    tuff_piece piece;
    REFUSED(tuff_decoder_flush(NULL, &piece));
    REFUSED(tuff_decoder_flush(fixture.decoder, NULL));
}
CALLS_OF(tuff_decoder_destroy)
{
    tuff_decoder *none = NULL;
    tuff_decoder_destroy(NULL);
    tuff_decoder_destroy(&none);
}
CALLS_OF(tuff_sampler_create)
{
    tuff_sampling unset = TUFF_SAMPLING_INIT;
    unset.struct_size = 0;
    tuff_sampler *out;
    REFUSED(tuff_sampler_create(NULL, 3, NULL));
    REFUSED_OUT(tuff_sampler_create(NULL, 0, &out), out);
    REFUSED_OUT(tuff_sampler_create(&unset, 3, &out), out);
    tuff_sampling biased = TUFF_SAMPLING_INIT;
    biased.logit_bias_count = 1;
    REFUSED_OUT(tuff_sampler_create(&biased, 3, &out), out);
}
CALLS_OF(tuff_sampler_prompt)
{
    tuff_sampler_prompt(NULL, 0);
    tuff_sampler_prompt(fixture.sampler, -1);
}
CALLS_OF(tuff_sampler_accept)
{
    tuff_sampler_accept(NULL, 0);
    tuff_sampler_accept(fixture.sampler, -1);
}
CALLS_OF(tuff_sampler_reset)
{
    tuff_sampler_reset(NULL);
}
CALLS_OF(tuff_sampler_sample)
{
    const float logits[3] = {0};
    int32_t id;
    REFUSED(tuff_sampler_sample(NULL, logits, 0, &id));
    REFUSED(tuff_sampler_sample(fixture.sampler, NULL, 0, &id));
    REFUSED(tuff_sampler_sample(fixture.sampler, logits, 0, NULL));
}
CALLS_OF(tuff_sampler_destroy)
{
    tuff_sampler *none = NULL;
    tuff_sampler_destroy(NULL);
    tuff_sampler_destroy(&none);
}
CALLS_OF(tuff_stop_create)
{
    const char *string = NULL;
    tuff_stop *out;
    REFUSED(tuff_stop_create(&string, 1, NULL));
    REFUSED_OUT(tuff_stop_create(NULL, 1, &out), out);
    REFUSED_OUT(tuff_stop_create(&string, 1, &out), out);
}
CALLS_OF(tuff_stop_feed)
{
    const char *text;
    size_t size;
    bool stopped;
    REFUSED(tuff_stop_feed(NULL, "a", 1, &text, &size, &stopped));
    REFUSED(tuff_stop_feed(fixture.stop, NULL, 1, &text, &size, &stopped));
    REFUSED(tuff_stop_feed(fixture.stop, "a", 1, NULL, &size, &stopped));
    REFUSED(tuff_stop_feed(fixture.stop, "a", 1, &text, NULL, &stopped));
    REFUSED(tuff_stop_feed(fixture.stop, "a", 1, &text, &size, NULL));
}
CALLS_OF(tuff_stop_flush)
{
    const char *text = NULL;
    size_t size = 1;
    tuff_stop_flush(NULL, &text, &size);
    assert_string_equal(text, "");
    assert_int_equal(size, 0);
    tuff_stop_flush(fixture.stop, NULL, &size);
    tuff_stop_flush(fixture.stop, &text, NULL);
}
CALLS_OF(tuff_stop_destroy)
{
    tuff_stop *none = NULL;
    tuff_stop_destroy(NULL);
    tuff_stop_destroy(&none);
}

#endif
