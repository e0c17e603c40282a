/* What generation_config.json says where no option of tuff generate does. */
#include <stdarg.h>
#include <string.h>
#include <tuff/generate.h>

#include "cli/generate.h"

/* What was taken, as a sentence's list. */
typedef struct taken {
    char text[512];
    size_t size;
} taken;

static void tell(taken *to, const char *format, ...) TUFF_PRINTF(2, 3);
static void tell(taken *to, const char *format, ...)
{
    const size_t room = sizeof to->text - to->size;
    va_list args;
    va_start(args, format);
    const int comma = to->size ? snprintf(to->text + to->size, room, ", ") : 0;
    const int more = vsnprintf(to->text + to->size + comma, room - (size_t)comma, format, args);
    va_end(args);
    if (more > 0 && (size_t)(comma + more) < room) to->size += (size_t)(comma + more);
}

/* An option that was not given becomes `usual`; it is told of where that differs from `nothing`. */
static void settle_int(taken *to, const char *name, int64_t *option, int64_t usual, int64_t nothing)
{
    if (*option != TUFF_CLI_UNSET) return;
    *option = usual;
    if (usual != nothing) tell(to, "%s %lld", name, (long long)usual);
}

static void settle_real(taken *to, const char *name, double *option, double usual, double nothing)
{
    if (*option != TUFF_CLI_UNSET) return;
    *option = usual;
    if (usual != nothing) tell(to, "%s %.4g", name, usual);
}

/* The API's zero stands for a default, which is 1. */
static double share(float value)
{
    return value == 0 ? 1 : (double)value;
}

/* What is drawn from; nothing of it matters where nothing is drawn, and then it is not told. */
static void settle_drawing(taken *to, tuff_cli_generate_options *o, const tuff_sampling *usual)
{
    taken untold = {.size = 0};
    settle_real(to, "temperature", &o->temperature, o->num_beams > 1 ? 0 : (double)usual->temperature, 0);
    if (o->temperature == 0) to = &untold;
    settle_int(to, "top-k", &o->top_k, usual->top_k, 0);
    settle_real(to, "top-p", &o->top_p, share(usual->top_p), 1);
    settle_real(to, "min-p", &o->min_p, (double)usual->min_p, 0);
    settle_real(to, "typical-p", &o->typical_p, share(usual->typical_p), 1);
}

static void settle_search(taken *to, tuff_cli_generate_options *o, const tuff_generate_params *usual,
                          bool searches)
{
    static const char *const stopping[] = {"false", "true", "never"};
    taken untold = {.size = 0};
    settle_int(to, "num-beams", &o->num_beams, searches && usual->num_beams ? usual->num_beams : 1, 1);
    if (o->num_beams < 2) to = &untold;
    settle_real(to, "length-penalty", &o->length_penalty, usual->length_penalty, 1);
    if (o->early_stopping != TUFF_CLI_UNSET) return;
    o->early_stopping = (int)usual->early_stopping;
    if (o->early_stopping) tell(to, "early-stopping %s", stopping[o->early_stopping]);
}

/* An option for new tokens comes before what counts the prompt too. */
static void settle_lengths(taken *to, tuff_cli_generate_options *o, const tuff_generate_params *usual)
{
    const bool least = o->min_new_tokens == TUFF_CLI_UNSET, most = o->max_new_tokens == TUFF_CLI_UNSET;
    o->min_length = least ? usual->min_length : 0;
    o->max_length = most ? usual->max_length : 0;
    settle_int(to, "max-new-tokens", &o->max_new_tokens, usual->max_new_tokens, 0);
    const int64_t fewest = usual->min_new_tokens, limit = o->max_new_tokens;
    settle_int(to, "min-new-tokens", &o->min_new_tokens, limit && fewest > limit ? limit : fewest, 0);
    if (o->max_length) tell(to, "max_length %lld", (long long)o->max_length);
    if (o->min_length) tell(to, "min_length %lld", (long long)o->min_length);
}

/* A search that the file asks for is not begun where what was given does not go with one: which of the
 * options that is, or NULL. */
static const char *in_place_of_search(const tuff_cli_generate_options *o)
{
    if (o->num_beams == 1) return "--num-beams 1";
    if (o->temperature != TUFF_CLI_UNSET && o->temperature != 0) return "--temperature";
    if (o->stop.count) return "--stop";
    if (o->logprobs >= 0) return "--logprobs";
    if (o->num_return_sequences > 1) return "--num-return-sequences";
    return o->profile.given ? "--profile" : NULL;
}

/* Where an option takes the search's place and does not say so by its name, that is told. */
static void tell_of_search(const tuff_cli_generate_options *o, const char *in_place, int64_t beams)
{
    if (!in_place || beams < 2 || o->num_beams != TUFF_CLI_UNSET || o->common.quiet) return;
    tuff_cli_say("tuff: warning: the model's settings ask for a search with %lld beams, which %s does not go "
                 "with; the text is made without it",
                 (long long)beams, in_place);
}

/* What Tuff does not have is an error where the file's search would lack it, else a warning. */
static bool may_lack(const tuff_cli_generate_options *o, const tuff_generate_params *usual, bool searches)
{
    if (usual->num_beams > 1 && searches && o->num_beams == TUFF_CLI_UNSET) return false;
    if (!o->common.quiet)
        tuff_cli_say("tuff: warning: %s; the text is made without it", tuff_error_message());
    return true;
}

/* The file's stop texts, where none are given. A search has none. */
static bool settle_stops(taken *to, tuff_cli_generate_options *o, const tuff_model *model)
{
    size_t n;
    if (o->stop.count || o->num_beams > 1 || o->ignore_generation_config) return true;
    if (tuff_model_generation_stops(model, &o->biases->stops, &n) != TUFF_OK)
        return tuff_cli_failed() == TUFF_EXIT_OK;
    if (n > TUFF_ARG_LIST_MAX) {
        tuff_cli_say("tuff: warning: the model has %zu stop texts; the first %d are taken", n,
                     TUFF_ARG_LIST_MAX);
        n = TUFF_ARG_LIST_MAX;
    }
    for (size_t i = 0; i < n; i++)
        o->stop.items[i] = o->biases->stops[i];
    o->stop.count = n;
    if (n) tell(to, "%zu stop text%s", n, n == 1 ? "" : "s");
    return true;
}

bool tuff_cli_generate_settle(tuff_cli_generate_options *o, const tuff_model *model)
{
    const char *in_place = in_place_of_search(o);
    const bool searches = !in_place;
    taken from_file = {.size = 0};
    tuff_generate_params usual = TUFF_GENERATE_PARAMS_INIT;
    tuff_sampling sampling = TUFF_SAMPLING_INIT;
    tuff_status status =
        o->ignore_generation_config ? TUFF_OK : tuff_model_generation(model, &usual, &sampling);
    if (status == TUFF_UNSUPPORTED && may_lack(o, &usual, searches)) status = TUFF_OK;
    if (status == TUFF_OK && !o->ignore_generation_config)
        status = tuff_model_generation_biases(model, &o->biases->models, &o->biases->model_count);
    if (status != TUFF_OK) {
        tuff_cli_failed();
        return false;
    }
    if (searches && o->num_beams == TUFF_CLI_UNSET && o->temperature == TUFF_CLI_UNSET &&
        usual.num_beams > 1 && sampling.temperature != 0) {
        tuff_cli_say(
            "tuff: %s: generation_config.json asks for a search with beams whose tokens are drawn "
            "(num_beams and do_sample), which Tuff does not have; give --temperature 0 for the search, or "
            "--num-beams 1",
            o->model);
        return false;
    }
    tell_of_search(o, in_place, usual.num_beams);
    settle_search(&from_file, o, &usual, searches);
    settle_drawing(&from_file, o, &sampling);
    /* a file's window is that of its own penalty */
    if (o->repetition_penalty != TUFF_CLI_UNSET && o->repetition_window == TUFF_CLI_UNSET)
        o->repetition_window = 0;
    settle_real(&from_file, "repetition-penalty", &o->repetition_penalty, share(sampling.repetition_penalty),
                1);
    settle_int(&from_file, "repetition-window", &o->repetition_window, sampling.repetition_window, 0);
    settle_int(&from_file, "no-repeat-ngram-size", &o->no_repeat_ngram_size, sampling.no_repeat_ngram_size,
               0);
    settle_lengths(&from_file, o, &usual);
    const size_t n = o->biases->model_count;
    if (n) tell(&from_file, "%s token bias%s", tuff_cli_count((int64_t)n), n == 1 ? "" : "es");
    if (!settle_stops(&from_file, o, model)) return false;
    if (from_file.size && !o->common.quiet)
        tuff_cli_say("tuff: by the model's %s: %s",
                     tuff_cli_is_directory(o->model) ? "generation_config.json" : "general.sampling",
                     from_file.text);
    return tuff_cli_biases_join(o->biases);
}
