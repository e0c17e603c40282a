/* All of Tuff: fine-tuning, sampling and embedding with transformer models, on Vulkan and on the CPU.
 *
 *     #include <tuff/tuff.h>
 *
 * Each header may also be included alone. What holds for all of them is said in <tuff/status.h>. */
#ifndef TUFF_TUFF_H
#define TUFF_TUFF_H

#include <tuff/batch.h>
#include <tuff/bench.h>
#include <tuff/cache.h>
#include <tuff/chat.h>
#include <tuff/checkpoint.h>
#include <tuff/conform.h>
#include <tuff/device.h>
#include <tuff/dtype.h>
#include <tuff/embed.h>
#include <tuff/generate.h>
#include <tuff/graph.h>
#include <tuff/host.h>
#include <tuff/importance.h>
#include <tuff/kernels.h>
#include <tuff/measure.h>
#include <tuff/model.h>
#include <tuff/predict.h>
#include <tuff/program.h>
#include <tuff/records.h>
#include <tuff/report.h>
#include <tuff/sampler.h>
#include <tuff/stage.h>
#include <tuff/status.h>
#include <tuff/tokenizer.h>
#include <tuff/train.h>
#include <tuff/version.h>
#include <tuff/watch.h>

#endif
