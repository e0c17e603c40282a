/* The model, the device and the words that verbs that predict share. */
#include "cli/predict.h"

#include <string.h>

void tuff_cli_short_k(int argc, char **argv)
{
    static char top_k[] = "--top-k";
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "-k") == 0) argv[i] = top_k;
}

int tuff_cli_predict_failed(tuff_status status)
{
    if (status != TUFF_CANCELLED || !tuff_cli_interrupted()) return tuff_cli_failed();
    tuff_cli_say("tuff: interrupted");
    return TUFF_EXIT_FAILED;
}

void tuff_cli_say_cut(const tuff_cli_predict *options, const tuff_predictor *predictor, int64_t truncated)
{
    if (!truncated || options->common.quiet) return;
    tuff_cli_say("tuff: %s of the texts %s longer than %lld tokens and cut off there (--max-length)",
                 tuff_cli_count(truncated), truncated == 1 ? "was" : "were",
                 (long long)tuff_predictor_max_length(predictor));
}

tuff_piece tuff_cli_piece(const char *text)
{
    return (tuff_piece){text, strlen(text)};
}

void tuff_cli_json_member(const char *key, tuff_piece text)
{
    printf("\"%s\": ", key);
    tuff_cli_json_text(stdout, text.data, text.size);
}

static int run_on(const tuff_cli_predict *o, int64_t guesses, const tuff_model *model, tuff_device *device,
                  int (*run)(const void *options, tuff_predictor *predictor, const tuff_tokenizer *tokenizer))
{
    tuff_predictor_params params = TUFF_PREDICTOR_PARAMS_INIT;
    const tuff_tokenizer *tokenizer = NULL;
    tuff_predictor *predictor = NULL;
    params.max_length = o->max_length;
    params.batch_tokens = o->batch_tokens;
    params.guesses = guesses;
    params.adapter = o->adapter;
    params.watch = tuff_cli_watch();
    tuff_cli_watch_shown(&o->common);
    if (tuff_predictor_create(model, device, &params, &predictor) != TUFF_OK ||
        tuff_model_get_tokenizer(model, &tokenizer) != TUFF_OK) {
        tuff_predictor_destroy(&predictor);
        return tuff_cli_failed();
    }
    tuff_cli_catch_interrupt();
    int code = run(o, predictor, tokenizer);
    tuff_predictor_destroy(&predictor);
    return code;
}

int tuff_cli_with_predictor(const tuff_cli_predict *o, int64_t guesses,
                            int (*run)(const void *options, tuff_predictor *predictor,
                                       const tuff_tokenizer *tokenizer))
{
    tuff_cli_begin(&o->common);
    const char *path = o->model, *adapter = o->adapter;
    if (!tuff_cli_find_model(&path, o->common.quiet) || !tuff_cli_find_adapter(&adapter, o->common.quiet))
        return TUFF_EXIT_FAILED;
    tuff_model *base = NULL, *adapted = NULL;
    const tuff_model *model = NULL;
    tuff_device *device = NULL;
    int code = tuff_cli_load_adapted(path, adapter, &base, &adapted, &model) == TUFF_OK &&
                       tuff_cli_open_device(&o->common, false, &device) == TUFF_OK
                   ? run_on(o, guesses, model, device, run)
                   : tuff_cli_failed();
    tuff_cli_device_stats(&o->common, device);
    tuff_device_destroy(&device);
    tuff_model_destroy(&adapted);
    tuff_model_destroy(&base);
    return code;
}
