/* Chat templates whose arguments are missing: see api_null_test.c. */
#ifndef TUFF_TESTS_NULL_CHAT_H
#define TUFF_TESTS_NULL_CHAT_H

#include "null_kit.h"

CALLS_OF(tuff_chat_template_create)
{
    tuff_chat_template *out;
    REFUSED(tuff_chat_template_create("x", 1, NULL, NULL));
    REFUSED_OUT(tuff_chat_template_create(NULL, 1, NULL, &out), out);
    KIT_OK(tuff_chat_template_create(NULL, 0, NULL, &out));
    tuff_chat_template_destroy(&out);
}
CALLS_OF(tuff_chat_template_of_model)
{
    tuff_chat_template *out;
    REFUSED(tuff_chat_template_of_model(fixture.model, NULL, NULL));
    REFUSED_OUT(tuff_chat_template_of_model(NULL, NULL, &out), out);
}
CALLS_OF(tuff_chat_template_named)
{
    tuff_chat_template *out;
    REFUSED(tuff_chat_template_named("chatml", NULL, NULL));
    REFUSED_OUT(tuff_chat_template_named(NULL, NULL, &out), out);
}
CALLS_OF(tuff_chat_template_name)
{
    assert_null(tuff_chat_template_name(SIZE_MAX));
}
CALLS_OF(tuff_chat_template_destroy)
{
    tuff_chat_template *none = NULL;
    tuff_chat_template_destroy(NULL);
    tuff_chat_template_destroy(&none);
}
CALLS_OF(tuff_chat_template_marks)
{
    assert_false(tuff_chat_template_marks(NULL));
}
CALLS_OF(tuff_chat_render)
{
    tuff_chat_params params = TUFF_CHAT_PARAMS_INIT, none = params, unset = params;
    tuff_chat_template *chatml;
    tuff_chat_text *out;
    params.messages = unset.messages = (tuff_piece){"[]", 2};
    unset.struct_size = 0;
    KIT_OK(tuff_chat_template_named("chatml", NULL, &chatml));
    REFUSED(tuff_chat_render(chatml, &params, NULL));
    REFUSED_OUT(tuff_chat_render(NULL, &params, &out), out);
    REFUSED_OUT(tuff_chat_render(chatml, NULL, &out), out);
    REFUSED_OUT(tuff_chat_render(chatml, &none, &out), out);
    REFUSED_OUT(tuff_chat_render(chatml, &unset, &out), out);
    tuff_chat_template_destroy(&chatml);
}
CALLS_OF(tuff_chat_text_destroy)
{
    tuff_chat_text *none = NULL;
    tuff_chat_text_destroy(NULL);
    tuff_chat_text_destroy(&none);
}

#endif
