/* Reports of trainings inside. */
#ifndef TUFF_TRAIN_SEEN_H
#define TUFF_TRAIN_SEEN_H

#include <tuff/report.h>

#include "base/host.h"
#include "base/text.h"
#include "train/events.h"
#include "train/history.h"

typedef struct tuff_report_fact {
    char *group, *name, *value;
} tuff_report_fact;

typedef struct tuff_report_eval {
    int64_t step;
    tuff_eval_result result;
} tuff_report_eval;

typedef struct tuff_report_sample {
    int64_t step;
    size_t prompt; /* its number */
    char *text;
    size_t size;
} tuff_report_sample;

typedef struct tuff_report_prompt {
    char *text;
    size_t size;
} tuff_report_prompt;

/* A step that changed nothing. */
typedef struct tuff_report_skip {
    int64_t step;
    bool empty; /* for want of something to learn; else its gradient was not finite */
} tuff_report_skip;

/* What is kept of a data set. */
typedef struct tuff_report_label {
    char *name;
    int64_t count;
} tuff_report_label;
typedef struct tuff_report_data {
    char *title;
    tuff_data_report of;
    int64_t known; /* in the training data, too; -1: not asked */
    tuff_report_label *labels;
    size_t n_labels, labels_capacity, more; /* more: that are not kept */
} tuff_report_data;

/* The most that is kept; of evaluations and samples then every second one goes. */
enum {
    TUFF_REPORT_EVALS = 512,
    TUFF_REPORT_SAMPLES = 512,
    TUFF_REPORT_SKIPS = 64,
    TUFF_REPORT_FACTS = 4096,
    TUFF_REPORT_DATA = 8,
    TUFF_REPORT_LABELS = 100, /* of a data set */
    TUFF_REPORT_TEXT = 2000   /* bytes of a sample */
};

struct tuff_train_report {
    char *page, *title;
    tuff_events *events;
    int64_t total_steps;
    double interval;           /* seconds */
    uint64_t written_ns, cost; /* of the page: when, how long it took */
    tuff_device_info device;   /* name "": not told */
    char began[TUFF_UTC_SIZE];

    tuff_history history;
    int64_t step, tokens, skipped, here; /* the last one; of all; of all; those of this process */
    double epoch, seconds;               /* seconds: of the steps of this process but the first */
    int64_t timed_tokens, timed;         /* theirs; how many */
    tuff_report_fact *facts;
    size_t n_facts, facts_capacity;
    tuff_report_data data[TUFF_REPORT_DATA];
    size_t n_data;
    tuff_report_eval evals[TUFF_REPORT_EVALS];
    size_t n_evals;
    int64_t best; /* the step of the lowest loss of an evaluation, -1: none; and that: */
    double best_loss;
    tuff_report_sample samples[TUFF_REPORT_SAMPLES];
    size_t n_samples;
    tuff_report_prompt *prompts;
    size_t n_prompts, prompts_capacity;
    tuff_report_skip skips[TUFF_REPORT_SKIPS]; /* the first of them */
    size_t n_skips;
    bool args_told, ended;
    tuff_training_end end;
    char *why;
};

/* The page as it is now. */
void tuff_report_page(const tuff_train_report *report, tuff_buf *out);

/* The part of the page that is about data sets, nothing where there is none; and the look of its pictures. */
void tuff_report_print_data(const tuff_train_report *report, tuff_buf *out);
extern const char *const tuff_report_data_style;
void tuff_report_free_data(tuff_train_report *report);

/* Takes what a log says of earlier steps. */
TUFF_MUST_USE tuff_status tuff_report_read_log(tuff_train_report *report, const char *path);

/* What the public functions do, but for the page. */
TUFF_MUST_USE tuff_status tuff_report_take_step(tuff_train_report *report, const tuff_train_step *step);
TUFF_MUST_USE tuff_status tuff_report_take_eval(tuff_train_report *report, int64_t step,
                                                const tuff_eval_result *result);
TUFF_MUST_USE tuff_status tuff_report_take_sample(tuff_train_report *report, int64_t step, tuff_view prompt,
                                                  tuff_view text);

#endif
