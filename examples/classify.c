/* Tells the classes of texts: classify MODEL TEXT..., where MODEL has a head for classes. Ctrl-C ends what is
 * under way: a call that watches a tuff_cancel asks it between its steps. Any thread may request it, too. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tuff/tuff.h>

static tuff_cancel *stop;

static void on_interrupt(int number)
{
    (void)number;
    tuff_cancel_request(stop);
}

static bool show(const tuff_progress *p, void *user)
{
    double percent = p->total ? 100.0 * (double)p->done / (double)p->total : 0;
    fprintf(user, "%s: %.0f %%\n", tuff_phase_name(p->phase), percent);
    return true; /* false would end it as well */
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: %s MODEL TEXT...\n", argv[0]);
        return 2;
    }
    const char *path = argv[1];
    size_t n = (size_t)argc - 2;

    tuff_model *model = NULL;
    tuff_device *device = NULL;
    tuff_predictor *predictor = NULL;
    tuff_status status = tuff_cancel_create(&stop);
    signal(SIGINT, on_interrupt);
    tuff_watch watch = TUFF_WATCH_INIT;
    watch.cancel = stop;
    watch.on_progress = show;
    watch.user = stderr;
    tuff_predictor_params params = TUFF_PREDICTOR_PARAMS_INIT;
    params.watch = &watch;
    if (!status) status = tuff_model_load_watched(path, &watch, &model);
    if (!status) status = tuff_device_open(NULL, &device);
    if (!status) status = tuff_predictor_create(model, device, &params, &predictor);

    size_t labels = (size_t)tuff_predictor_labels(predictor);
    tuff_predict_input *inputs = calloc(n, sizeof *inputs);
    float *scores = calloc(n * labels + 1, sizeof *scores);
    for (size_t i = 0; i < n; i++)
        inputs[i].text = (tuff_piece){argv[i + 2], strlen(argv[i + 2])};
    if (!status) status = tuff_classify(predictor, inputs, n, NULL, scores, NULL);
    if (status) fprintf(stderr, "%s: %s\n", tuff_status_name(status), tuff_error_message());

    for (size_t i = 0; i < n && !status; i++)
        for (size_t k = 0; k < labels; k++)
            printf("%.4f  %s  %s\n", (double)scores[i * labels + k],
                   tuff_predictor_label(predictor, (int64_t)k), argv[i + 2]);
    free(inputs);
    free(scores);
    tuff_predictor_destroy(&predictor);
    tuff_device_destroy(&device);
    tuff_model_destroy(&model);
    signal(SIGINT, SIG_DFL);
    tuff_cancel_destroy(&stop);
    return status ? 1 : 0;
}
