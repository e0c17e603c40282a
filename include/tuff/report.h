/* What is seen of a training, for people: a page, and event files that TensorBoard shows.
 *
 *     tuff_train_report_params params = TUFF_TRAIN_REPORT_PARAMS_INIT;
 *     params.page = "report.html";
 *     tuff_train_report_create(&params, &report);
 *     while (...) {
 *         tuff_trainer_step(trainer, &step);
 *         tuff_train_report_step(report, &step);
 *     }
 *     tuff_train_report_end(report, TUFF_TRAINING_DONE, "done");
 *     tuff_train_report_destroy(&report);
 */
#ifndef TUFF_REPORT_H
#define TUFF_REPORT_H

#include <stddef.h>
#include <stdint.h>

#include <tuff/device.h>
#include <tuff/status.h>
#include <tuff/train.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Belongs to one thread at a time. */
typedef struct tuff_train_report tuff_train_report;

typedef struct tuff_train_report_params {
    size_t struct_size; /* set by TUFF_TRAIN_REPORT_PARAMS_INIT */
    /* A file of HTML, which needs nothing else: curves, evaluations, samples, skipped steps, facts. It is
     * written when something is told, not before `interval` seconds have passed and never for more than about
     * a fiftieth of the time; whole, or not at all. NULL: none. */
    const char *page;
    /* A directory, made if it is not there, in which a new event file grows: each call is seen at once. Its
     * scalars are called as Hugging Face's Trainer calls them: train/loss, train/learning_rate,
     * train/grad_norm, train/epoch, eval/loss, ..., and train/tokens_per_second. NULL: none. */
    const char *events;
    const char *title; /* of the page; NULL: "Training" */
    /* Its name and driver are told. NULL: nothing is. Used by tuff_train_report_create only. */
    const tuff_device *device;
    int64_t total_steps; /* of the whole training; 0: not known */
    /* Of a training that goes on: steps done before, behind which event files that are there count no more;
     * and what is known of them, lines of JSON as `tuff train` logs them. They are on the page, and in the
     * events where the directory has none of Tuff's. 0 and NULL: it begins. */
    int64_t done_steps;
    const char *log;
    double interval; /* seconds; 0: 2 */
} tuff_train_report_params;
#define TUFF_TRAIN_REPORT_PARAMS_INIT                                           \
    {                                                                           \
        sizeof(tuff_train_report_params), NULL, NULL, NULL, NULL, 0, 0, NULL, 0 \
    }

/* Makes the page and the event file. Errors: TUFF_IO where they cannot be written; TUFF_INVALID_ARGUMENT when
 * there is neither; TUFF_BAD_FORMAT for a log that is none. */
TUFF_API TUFF_MUST_USE tuff_status tuff_train_report_create(const tuff_train_report_params *params,
                                                            tuff_train_report **out_report);
/* What was written stays; a page that was not ended says that the training runs. */
TUFF_API void tuff_train_report_destroy(tuff_train_report **report);

/* Something that the page is to have in a list under `group` ("Settings", "Data"), in the order of the calls;
 * those before the first step are in the events, too, as the text "args". All are copied. */
TUFF_API TUFF_MUST_USE tuff_status tuff_train_report_fact(tuff_train_report *report, const char *group,
                                                          const char *name, const char *value);
/* What a data set holds, on the page under `title`: how many examples and tokens, a picture of their lengths,
 * what was left out, cut, repeated, how often each label comes, and how many of the examples are in `train`,
 * too (NULL: it is not asked). It is looked at now. */
TUFF_API TUFF_MUST_USE tuff_status tuff_train_report_data(tuff_train_report *report, const char *title,
                                                          const tuff_dataset *data,
                                                          const tuff_dataset *train);

/* A step; an evaluation after so many; what the model then said to a prompt. All are copied. Errors of these
 * three: TUFF_IO where the page or the events could not be written, and TUFF_OUT_OF_MEMORY; the page is tried
 * again later, events are no longer written then. */
TUFF_API TUFF_MUST_USE tuff_status tuff_train_report_step(tuff_train_report *report,
                                                          const tuff_train_step *step);
TUFF_API TUFF_MUST_USE tuff_status tuff_train_report_eval(tuff_train_report *report, int64_t step,
                                                          const tuff_eval_result *result);
TUFF_API TUFF_MUST_USE tuff_status tuff_train_report_sample(tuff_train_report *report, int64_t step,
                                                            const char *prompt, size_t prompt_size,
                                                            const char *text, size_t text_size);

typedef enum tuff_training_end {
    TUFF_TRAINING_DONE,
    TUFF_TRAINING_STOPPED, /* before its end: asked to, or early since it got no better */
    TUFF_TRAINING_FAILED
} tuff_training_end;
/* The last page, which says so; `why` is a few words. */
TUFF_API TUFF_MUST_USE tuff_status tuff_train_report_end(tuff_train_report *report, tuff_training_end end,
                                                         const char *why);

#ifdef __cplusplus
}
#endif
#endif
