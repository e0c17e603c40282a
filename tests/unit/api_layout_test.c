/* Where the fields of public structs lie: the binary interface, on 64-bit systems. The compiler checks it.
 *
 * A program that was compiled with older headers finds its fields at these places. So no line changes here:
 * a new field gets a line at the end of its struct, and lies at or behind the size that the struct had. */
#include <stddef.h>
#include <tuff/tuff.h>

#include "kit/kit.h"

#if UINTPTR_MAX == UINT64_MAX
/* The size is that of version 1: a struct may grow. */
#define STRUCT(type, size) _Static_assert(sizeof(type) >= (size), #type " got smaller");
/* The last field of a struct that the caller makes: no padding behind it (src/base/structs.h). */
#define LAST(type, field)                                                                 \
    _Static_assert(offsetof(type, field) + sizeof(((type *)NULL)->field) == sizeof(type), \
                   #type " has padding behind " #field ": add a field named reserved");
#define FIELD(type, field, offset) \
    _Static_assert(offsetof(type, field) == (offset), #type "." #field " has moved");
#include "layout_data.h"
#include "layout_text.h"
#include "layout_train.h"
/* clang-format off */

STRUCT(tuff_allocator, 40)
FIELD(tuff_allocator, struct_size, 0)
FIELD(tuff_allocator, malloc, 8)
FIELD(tuff_allocator, realloc, 16)
FIELD(tuff_allocator, free, 24)
FIELD(tuff_allocator, user, 32)
LAST(tuff_allocator, user)

STRUCT(tuff_host_stats, 24)
FIELD(tuff_host_stats, struct_size, 0)
FIELD(tuff_host_stats, allocations, 8)
FIELD(tuff_host_stats, live, 16)
LAST(tuff_host_stats, live)

STRUCT(tuff_device_info, 1112)
FIELD(tuff_device_info, struct_size, 0)
FIELD(tuff_device_info, name, 8)
FIELD(tuff_device_info, driver, 264)
FIELD(tuff_device_info, backend, 520)
FIELD(tuff_device_info, uuid, 536)
FIELD(tuff_device_info, type, 572)
FIELD(tuff_device_info, memory_bytes, 576)
FIELD(tuff_device_info, usable, 584)
FIELD(tuff_device_info, reason, 585)
FIELD(tuff_device_info, rows_tested, 844)
FIELD(tuff_device_info, rows_wrong, 848)
FIELD(tuff_device_info, wrong_rows, 852)
FIELD(tuff_device_info, reserved, 1108)
LAST(tuff_device_info, reserved)

STRUCT(tuff_device_params, 24)
FIELD(tuff_device_params, struct_size, 0)
FIELD(tuff_device_params, name, 8)
FIELD(tuff_device_params, validate, 16)
FIELD(tuff_device_params, profile, 17)
FIELD(tuff_device_params, submit_ms, 20)
FIELD(tuff_device_params, threads, 24)
FIELD(tuff_device_params, reserved, 28)
FIELD(tuff_device_params, log, 32)
FIELD(tuff_device_params, log_level, 40)
FIELD(tuff_device_params, log_user, 48)
LAST(tuff_device_params, log_user)

STRUCT(tuff_bench_peak, 32)
FIELD(tuff_bench_peak, struct_size, 0)
FIELD(tuff_bench_peak, copy_gbps, 8)
FIELD(tuff_bench_peak, read_gbps, 16)
FIELD(tuff_bench_peak, f32_gflops, 24)
LAST(tuff_bench_peak, f32_gflops)

STRUCT(tuff_bench_params, 48)
FIELD(tuff_bench_params, struct_size, 0)
FIELD(tuff_bench_params, seconds, 8)
FIELD(tuff_bench_params, only, 16)
FIELD(tuff_bench_params, watch, 24)
FIELD(tuff_bench_params, on_row, 32)
FIELD(tuff_bench_params, user, 40)
LAST(tuff_bench_params, user)

STRUCT(tuff_device_stats, 56)
FIELD(tuff_device_stats, struct_size, 0)
FIELD(tuff_device_stats, allocations, 8)
FIELD(tuff_device_stats, bytes, 16)
FIELD(tuff_device_stats, recorded, 24)
FIELD(tuff_device_stats, submits, 32)
FIELD(tuff_device_stats, dispatches, 40)
FIELD(tuff_device_stats, barriers, 48)
LAST(tuff_device_stats, barriers)

STRUCT(tuff_model_info, 104)
FIELD(tuff_model_info, struct_size, 0)
FIELD(tuff_model_info, architecture, 8)
FIELD(tuff_model_info, vocab_size, 16)
FIELD(tuff_model_info, hidden_size, 24)
FIELD(tuff_model_info, layers, 32)
FIELD(tuff_model_info, heads, 40)
FIELD(tuff_model_info, kv_heads, 48)
FIELD(tuff_model_info, head_dim, 56)
FIELD(tuff_model_info, intermediate_size, 64)
FIELD(tuff_model_info, context_length, 72)
FIELD(tuff_model_info, tied, 80)
FIELD(tuff_model_info, parameters, 88)
FIELD(tuff_model_info, dtype, 96)
FIELD(tuff_model_info, reserved, 100)
FIELD(tuff_model_info, encoder_decoder, 104)
FIELD(tuff_model_info, reserved_too, 105)
FIELD(tuff_model_info, weight_bytes, 112)
LAST(tuff_model_info, weight_bytes)

STRUCT(tuff_save_params, 40)
FIELD(tuff_save_params, struct_size, 0)
FIELD(tuff_save_params, format, 8)
FIELD(tuff_save_params, threads, 12)
FIELD(tuff_save_params, type, 16)
FIELD(tuff_save_params, watch, 24)
FIELD(tuff_save_params, flags, 32)
FIELD(tuff_save_params, reserved, 36)
FIELD(tuff_save_params, importance, 40)
LAST(tuff_save_params, importance)

STRUCT(tuff_adapter_params, 32)
FIELD(tuff_adapter_params, struct_size, 0)
FIELD(tuff_adapter_params, format, 8)
FIELD(tuff_adapter_params, reserved, 12)
FIELD(tuff_adapter_params, base_name, 16)
FIELD(tuff_adapter_params, watch, 24)
LAST(tuff_adapter_params, watch)

STRUCT(tuff_importance_params, 24)
FIELD(tuff_importance_params, struct_size, 0)
FIELD(tuff_importance_params, context, 8)
FIELD(tuff_importance_params, watch, 16)
LAST(tuff_importance_params, watch)

STRUCT(tuff_program_memory, 40)
FIELD(tuff_program_memory, struct_size, 0)
FIELD(tuff_program_memory, variables, 8)
FIELD(tuff_program_memory, arena, 16)
FIELD(tuff_program_memory, arena_bound, 24)
FIELD(tuff_program_memory, staging, 32)
LAST(tuff_program_memory, staging)

STRUCT(tuff_attention_params, 48)
FIELD(tuff_attention_params, struct_size, 0)
FIELD(tuff_attention_params, scale, 8)
FIELD(tuff_attention_params, softcap, 16)
FIELD(tuff_attention_params, left, 24)
FIELD(tuff_attention_params, right, 32)
FIELD(tuff_attention_params, zero, 40)
FIELD(tuff_attention_params, dropout, 48)
FIELD(tuff_attention_params, dropout_seed, 56)
FIELD(tuff_attention_params, dropout_stream, 64)
FIELD(tuff_attention_params, reserved, 68)
LAST(tuff_attention_params, reserved)

STRUCT(tuff_adamw_params, 48)
FIELD(tuff_adamw_params, struct_size, 0)
FIELD(tuff_adamw_params, beta1, 8)
FIELD(tuff_adamw_params, beta2, 16)
FIELD(tuff_adamw_params, eps, 24)
FIELD(tuff_adamw_params, weight_decay, 32)
FIELD(tuff_adamw_params, max_grad_norm, 40)
LAST(tuff_adamw_params, max_grad_norm)

STRUCT(tuff_adamw_slot, 64)
FIELD(tuff_adamw_slot, struct_size, 0)
FIELD(tuff_adamw_slot, param, 8)
FIELD(tuff_adamw_slot, grad, 16)
FIELD(tuff_adamw_slot, m, 24)
FIELD(tuff_adamw_slot, v, 32)
FIELD(tuff_adamw_slot, decay, 40)
FIELD(tuff_adamw_slot, reserved, 41)
FIELD(tuff_adamw_slot, lr_scale, 48)
FIELD(tuff_adamw_slot, weight_decay, 56)
LAST(tuff_adamw_slot, weight_decay)

STRUCT(tuff_momentum_slot, 56)
FIELD(tuff_momentum_slot, struct_size, 0)
FIELD(tuff_momentum_slot, param, 8)
FIELD(tuff_momentum_slot, grad, 16)
FIELD(tuff_momentum_slot, momentum, 24)
FIELD(tuff_momentum_slot, decay, 32)
FIELD(tuff_momentum_slot, reserved, 33)
FIELD(tuff_momentum_slot, lr_scale, 40)
FIELD(tuff_momentum_slot, weight_decay, 48)
LAST(tuff_momentum_slot, weight_decay)

STRUCT(tuff_sgd_params, 40)
FIELD(tuff_sgd_params, struct_size, 0)
FIELD(tuff_sgd_params, momentum, 8)
FIELD(tuff_sgd_params, weight_decay, 16)
FIELD(tuff_sgd_params, max_grad_norm, 24)
FIELD(tuff_sgd_params, nesterov, 32)
FIELD(tuff_sgd_params, reserved, 33)
LAST(tuff_sgd_params, reserved)

STRUCT(tuff_lion_params, 40)
FIELD(tuff_lion_params, struct_size, 0)
FIELD(tuff_lion_params, beta1, 8)
FIELD(tuff_lion_params, beta2, 16)
FIELD(tuff_lion_params, weight_decay, 24)
FIELD(tuff_lion_params, max_grad_norm, 32)
LAST(tuff_lion_params, max_grad_norm)

STRUCT(tuff_momentum_params, 32)
FIELD(tuff_momentum_params, struct_size, 0)
FIELD(tuff_momentum_params, momentum, 8)
FIELD(tuff_momentum_params, max_grad_norm, 16)
FIELD(tuff_momentum_params, nesterov, 24)
FIELD(tuff_momentum_params, reserved, 25)
LAST(tuff_momentum_params, reserved)

STRUCT(tuff_adafactor_params, 72)
FIELD(tuff_adafactor_params, struct_size, 0)
FIELD(tuff_adafactor_params, beta1, 8)
FIELD(tuff_adafactor_params, decay_rate, 16)
FIELD(tuff_adafactor_params, eps1, 24)
FIELD(tuff_adafactor_params, eps2, 32)
FIELD(tuff_adafactor_params, clip_threshold, 40)
FIELD(tuff_adafactor_params, weight_decay, 48)
FIELD(tuff_adafactor_params, max_grad_norm, 56)
FIELD(tuff_adafactor_params, scale_parameter, 64)
FIELD(tuff_adafactor_params, reserved, 65)
LAST(tuff_adafactor_params, reserved)

STRUCT(tuff_adafactor_slot, 72)
FIELD(tuff_adafactor_slot, struct_size, 0)
FIELD(tuff_adafactor_slot, param, 8)
FIELD(tuff_adafactor_slot, grad, 16)
FIELD(tuff_adafactor_slot, row, 24)
FIELD(tuff_adafactor_slot, column, 32)
FIELD(tuff_adafactor_slot, mean, 40)
FIELD(tuff_adafactor_slot, decay, 48)
FIELD(tuff_adafactor_slot, reserved, 49)
FIELD(tuff_adafactor_slot, lr_scale, 56)
FIELD(tuff_adafactor_slot, weight_decay, 64)
LAST(tuff_adafactor_slot, weight_decay)

STRUCT(tuff_adamw_8bit_slot, 80)
FIELD(tuff_adamw_8bit_slot, struct_size, 0)
FIELD(tuff_adamw_8bit_slot, param, 8)
FIELD(tuff_adamw_8bit_slot, grad, 16)
FIELD(tuff_adamw_8bit_slot, m, 24)
FIELD(tuff_adamw_8bit_slot, v, 32)
FIELD(tuff_adamw_8bit_slot, m_scale, 40)
FIELD(tuff_adamw_8bit_slot, v_scale, 48)
FIELD(tuff_adamw_8bit_slot, decay, 56)
FIELD(tuff_adamw_8bit_slot, reserved, 57)
FIELD(tuff_adamw_8bit_slot, lr_scale, 64)
FIELD(tuff_adamw_8bit_slot, weight_decay, 72)
LAST(tuff_adamw_8bit_slot, weight_decay)

STRUCT(tuff_text_params, 24)
FIELD(tuff_text_params, struct_size, 0)
FIELD(tuff_text_params, allow_json, 8)
FIELD(tuff_text_params, no_cache, 9)
FIELD(tuff_text_params, watch, 16)
LAST(tuff_text_params, watch)

STRUCT(tuff_predictor_params, 48)
FIELD(tuff_predictor_params, struct_size, 0)
FIELD(tuff_predictor_params, max_length, 8)
FIELD(tuff_predictor_params, batch_tokens, 16)
FIELD(tuff_predictor_params, guesses, 24)
FIELD(tuff_predictor_params, adapter, 32)
FIELD(tuff_predictor_params, watch, 40)
LAST(tuff_predictor_params, watch)

STRUCT(tuff_predict_input, 32)
FIELD(tuff_predict_input, text, 0)
FIELD(tuff_predict_input, pair, 16)
LAST(tuff_predict_input, pair)

STRUCT(tuff_predict_result, 24)
FIELD(tuff_predict_result, struct_size, 0)
FIELD(tuff_predict_result, tokens, 8)
FIELD(tuff_predict_result, truncated, 16)
LAST(tuff_predict_result, truncated)

STRUCT(tuff_guess, 8)
FIELD(tuff_guess, token, 0)
FIELD(tuff_guess, score, 4)
LAST(tuff_guess, score)

STRUCT(tuff_fill_params, 16)
FIELD(tuff_fill_params, struct_size, 0)
FIELD(tuff_fill_params, watch, 8)
LAST(tuff_fill_params, watch)

STRUCT(tuff_classify_params, 24)
FIELD(tuff_classify_params, struct_size, 0)
FIELD(tuff_classify_params, scoring, 8)
FIELD(tuff_classify_params, watch, 16)
LAST(tuff_classify_params, watch)

STRUCT(tuff_entity, 48)
FIELD(tuff_entity, input, 0)
FIELD(tuff_entity, span, 8)
FIELD(tuff_entity, name, 24)
FIELD(tuff_entity, label, 32)
FIELD(tuff_entity, score, 40)
FIELD(tuff_entity, reserved, 44)
LAST(tuff_entity, reserved)

STRUCT(tuff_entities_params, 24)
FIELD(tuff_entities_params, struct_size, 0)
FIELD(tuff_entities_params, group, 8)
FIELD(tuff_entities_params, outside, 9)
FIELD(tuff_entities_params, reserved, 10)
FIELD(tuff_entities_params, watch, 16)
LAST(tuff_entities_params, watch)

STRUCT(tuff_answer, 24)
FIELD(tuff_answer, span, 0)
FIELD(tuff_answer, score, 16)
FIELD(tuff_answer, reserved, 20)
LAST(tuff_answer, reserved)

STRUCT(tuff_answer_params, 48)
FIELD(tuff_answer_params, struct_size, 0)
FIELD(tuff_answer_params, answers, 8)
FIELD(tuff_answer_params, overlap, 16)
FIELD(tuff_answer_params, longest, 24)
FIELD(tuff_answer_params, maybe_none, 32)
FIELD(tuff_answer_params, tokens, 33)
FIELD(tuff_answer_params, reserved, 34)
FIELD(tuff_answer_params, watch, 40)
LAST(tuff_answer_params, watch)

STRUCT(tuff_embedder_params, 56)
FIELD(tuff_embedder_params, struct_size, 0)
FIELD(tuff_embedder_params, pooling, 8)
FIELD(tuff_embedder_params, normalize, 12)
FIELD(tuff_embedder_params, dimensions, 16)
FIELD(tuff_embedder_params, max_length, 24)
FIELD(tuff_embedder_params, batch_tokens, 32)
FIELD(tuff_embedder_params, adapter, 40)
FIELD(tuff_embedder_params, watch, 48)
LAST(tuff_embedder_params, watch)

STRUCT(tuff_embed_params, 24)
FIELD(tuff_embed_params, struct_size, 0)
FIELD(tuff_embed_params, prompt, 8)
FIELD(tuff_embed_params, watch, 16)
LAST(tuff_embed_params, watch)

STRUCT(tuff_embed_result, 24)
FIELD(tuff_embed_result, struct_size, 0)
FIELD(tuff_embed_result, tokens, 8)
FIELD(tuff_embed_result, truncated, 16)
LAST(tuff_embed_result, truncated)

STRUCT(tuff_chunk, 24)
FIELD(tuff_chunk, record, 0)
FIELD(tuff_chunk, begin, 8)
FIELD(tuff_chunk, end, 16)
LAST(tuff_chunk, end)

STRUCT(tuff_chunk_params, 40)
FIELD(tuff_chunk_params, struct_size, 0)
FIELD(tuff_chunk_params, prompt, 8)
FIELD(tuff_chunk_params, chunk, 16)
FIELD(tuff_chunk_params, overlap, 24)
FIELD(tuff_chunk_params, watch, 32)
LAST(tuff_chunk_params, watch)

STRUCT(tuff_embed_file_params, 40)
FIELD(tuff_embed_file_params, struct_size, 0)
FIELD(tuff_embed_file_params, field, 8)
FIELD(tuff_embed_file_params, prompt, 16)
FIELD(tuff_embed_file_params, type, 24)
FIELD(tuff_embed_file_params, restart, 28)
FIELD(tuff_embed_file_params, reserved, 29)
FIELD(tuff_embed_file_params, watch, 32)
FIELD(tuff_embed_file_params, chunk, 40)
FIELD(tuff_embed_file_params, overlap, 48)
LAST(tuff_embed_file_params, overlap)

STRUCT(tuff_embed_file_result, 40)
FIELD(tuff_embed_file_result, struct_size, 0)
FIELD(tuff_embed_file_result, vectors, 8)
FIELD(tuff_embed_file_result, resumed, 16)
FIELD(tuff_embed_file_result, tokens, 24)
FIELD(tuff_embed_file_result, truncated, 32)
FIELD(tuff_embed_file_result, records, 40)
LAST(tuff_embed_file_result, records)

STRUCT(tuff_sts_params, 48)
FIELD(tuff_sts_params, struct_size, 0)
FIELD(tuff_sts_params, sentence1, 8)
FIELD(tuff_sts_params, sentence2, 16)
FIELD(tuff_sts_params, score, 24)
FIELD(tuff_sts_params, prompt, 32)
FIELD(tuff_sts_params, watch, 40)
LAST(tuff_sts_params, watch)

STRUCT(tuff_sts_result, 40)
FIELD(tuff_sts_result, struct_size, 0)
FIELD(tuff_sts_result, spearman, 8)
FIELD(tuff_sts_result, pearson, 16)
FIELD(tuff_sts_result, pairs, 24)
FIELD(tuff_sts_result, truncated, 32)
LAST(tuff_sts_result, truncated)

STRUCT(tuff_retrieval_params, 48)
FIELD(tuff_retrieval_params, struct_size, 0)
FIELD(tuff_retrieval_params, id, 8)
FIELD(tuff_retrieval_params, text, 16)
FIELD(tuff_retrieval_params, query_prompt, 24)
FIELD(tuff_retrieval_params, document_prompt, 32)
FIELD(tuff_retrieval_params, watch, 40)
LAST(tuff_retrieval_params, watch)

STRUCT(tuff_retrieval_result, 184)
FIELD(tuff_retrieval_result, struct_size, 0)
FIELD(tuff_retrieval_result, ndcg_at_10, 8)
FIELD(tuff_retrieval_result, mrr_at_10, 16)
FIELD(tuff_retrieval_result, map_at_100, 24)
FIELD(tuff_retrieval_result, accuracy, 32)
FIELD(tuff_retrieval_result, precision, 72)
FIELD(tuff_retrieval_result, recall, 112)
FIELD(tuff_retrieval_result, queries, 152)
FIELD(tuff_retrieval_result, documents, 160)
FIELD(tuff_retrieval_result, missing, 168)
FIELD(tuff_retrieval_result, truncated, 176)
LAST(tuff_retrieval_result, truncated)

STRUCT(tuff_example, 48)
FIELD(tuff_example, struct_size, 0)
FIELD(tuff_example, ids, 8)
FIELD(tuff_example, count, 16)
FIELD(tuff_example, types, 24)
FIELD(tuff_example, labels, 32)
FIELD(tuff_example, weights, 40)
LAST(tuff_example, weights)

STRUCT(tuff_generate_memory, 48)
FIELD(tuff_generate_memory, struct_size, 0)
FIELD(tuff_generate_memory, weights, 8)
FIELD(tuff_generate_memory, cache, 16)
FIELD(tuff_generate_memory, arena, 24)
FIELD(tuff_generate_memory, transfers, 32)
FIELD(tuff_generate_memory, total, 40)
LAST(tuff_generate_memory, total)

STRUCT(tuff_train_memory, 96)
FIELD(tuff_train_memory, struct_size, 0)
FIELD(tuff_train_memory, weights, 8)
FIELD(tuff_train_memory, optimizer, 16)
FIELD(tuff_train_memory, gradients, 24)
FIELD(tuff_train_memory, gradients_apart, 32)
FIELD(tuff_train_memory, arena, 40)
FIELD(tuff_train_memory, arena_bound, 48)
FIELD(tuff_train_memory, evaluation, 56)
FIELD(tuff_train_memory, transfers, 64)
FIELD(tuff_train_memory, total, 72)
FIELD(tuff_train_memory, trained_parameters, 80)
FIELD(tuff_train_memory, parameters, 88)
LAST(tuff_train_memory, parameters)

STRUCT(tuff_train_step, 64)
FIELD(tuff_train_step, struct_size, 0)
FIELD(tuff_train_step, step, 8)
FIELD(tuff_train_step, epoch, 16)
FIELD(tuff_train_step, loss, 24)
FIELD(tuff_train_step, learning_rate, 32)
FIELD(tuff_train_step, grad_norm, 40)
FIELD(tuff_train_step, skipped, 48)
FIELD(tuff_train_step, tokens, 56)
FIELD(tuff_train_step, seconds, 64)
FIELD(tuff_train_step, count, 72)
FIELD(tuff_train_step, figures, 80)
LAST(tuff_train_step, figures)

STRUCT(tuff_train_report_params, 72)
FIELD(tuff_train_report_params, struct_size, 0)
FIELD(tuff_train_report_params, page, 8)
FIELD(tuff_train_report_params, events, 16)
FIELD(tuff_train_report_params, title, 24)
FIELD(tuff_train_report_params, device, 32)
FIELD(tuff_train_report_params, total_steps, 40)
FIELD(tuff_train_report_params, done_steps, 48)
FIELD(tuff_train_report_params, log, 56)
FIELD(tuff_train_report_params, interval, 64)
LAST(tuff_train_report_params, interval)

STRUCT(tuff_checkpoint_number, 40)
FIELD(tuff_checkpoint_number, name, 0)
FIELD(tuff_checkpoint_number, value, 32)

STRUCT(tuff_checkpoint_params, 64)
FIELD(tuff_checkpoint_params, struct_size, 0)
FIELD(tuff_checkpoint_params, watch, 8)
FIELD(tuff_checkpoint_params, best_model_checkpoint, 16)
FIELD(tuff_checkpoint_params, best_metric, 24)
FIELD(tuff_checkpoint_params, best_global_step, 32)
FIELD(tuff_checkpoint_params, log_history, 40)
FIELD(tuff_checkpoint_params, numbers, 48)
FIELD(tuff_checkpoint_params, number_count, 56)
LAST(tuff_checkpoint_params, number_count)

STRUCT(tuff_checkpoint_info, 72)
FIELD(tuff_checkpoint_info, struct_size, 0)
FIELD(tuff_checkpoint_info, step, 8)
FIELD(tuff_checkpoint_info, max_steps, 16)
FIELD(tuff_checkpoint_info, epoch, 24)
FIELD(tuff_checkpoint_info, skipped, 32)
FIELD(tuff_checkpoint_info, directory, 40)
FIELD(tuff_checkpoint_info, best_model_checkpoint, 48)
FIELD(tuff_checkpoint_info, best_metric, 56)
FIELD(tuff_checkpoint_info, best_global_step, 64)
FIELD(tuff_checkpoint_info, per_device_train_batch_size, 72)
FIELD(tuff_checkpoint_info, gradient_accumulation_steps, 80)
LAST(tuff_checkpoint_info, gradient_accumulation_steps)

STRUCT(tuff_eval_result, 32)
FIELD(tuff_eval_result, struct_size, 0)
FIELD(tuff_eval_result, loss, 8)
FIELD(tuff_eval_result, perplexity, 16)
FIELD(tuff_eval_result, tokens, 24)
FIELD(tuff_eval_result, count, 32)
FIELD(tuff_eval_result, figures, 40)
LAST(tuff_eval_result, figures)

STRUCT(tuff_eval_figure, 32)
FIELD(tuff_eval_figure, name, 0)
FIELD(tuff_eval_figure, value, 24)

STRUCT(tuff_eval_params, 32)
FIELD(tuff_eval_params, struct_size, 0)
FIELD(tuff_eval_params, batch_size, 8)
FIELD(tuff_eval_params, adapter, 16)
FIELD(tuff_eval_params, watch, 24)
FIELD(tuff_eval_params, predict_with_generate, 32)
FIELD(tuff_eval_params, use_stemmer, 33)
FIELD(tuff_eval_params, reserved, 34)
LAST(tuff_eval_params, reserved)

STRUCT(tuff_conform_launch, 48)
FIELD(tuff_conform_launch, kernel, 0)
FIELD(tuff_conform_launch, spirv, 8)
FIELD(tuff_conform_launch, constants, 16)
FIELD(tuff_conform_launch, workgroup, 24)
FIELD(tuff_conform_launch, grid, 36)

STRUCT(tuff_conform_case, 112)
FIELD(tuff_conform_case, family, 0)
FIELD(tuff_conform_case, name, 8)
FIELD(tuff_conform_case, held, 16)
FIELD(tuff_conform_case, verdict, 24)
FIELD(tuff_conform_case, message, 32)
FIELD(tuff_conform_case, worst, 40)
FIELD(tuff_conform_case, worst_backward, 48)
FIELD(tuff_conform_case, milliseconds, 56)
FIELD(tuff_conform_case, seed, 64)
FIELD(tuff_conform_case, listed, 72)
FIELD(tuff_conform_case, failed, 73)
FIELD(tuff_conform_case, blame, 80)
FIELD(tuff_conform_case, dump, 88)
FIELD(tuff_conform_case, launches, 96)
FIELD(tuff_conform_case, n_launches, 104)

STRUCT(tuff_conform_row, 64)
FIELD(tuff_conform_row, op, 0)
FIELD(tuff_conform_row, row, 8)
FIELD(tuff_conform_row, fits, 16)
FIELD(tuff_conform_row, uses, 24)
FIELD(tuff_conform_row, batch_free, 32)
FIELD(tuff_conform_row, batches, 40)
FIELD(tuff_conform_row, worst, 48)
FIELD(tuff_conform_row, faults, 56)

STRUCT(tuff_conform_report, 496)
FIELD(tuff_conform_report, device, 0)
FIELD(tuff_conform_report, level, 8)
FIELD(tuff_conform_report, seed, 16)
FIELD(tuff_conform_report, rounds, 24)
FIELD(tuff_conform_report, permute, 32)
FIELD(tuff_conform_report, submit_ms, 40)
FIELD(tuff_conform_report, backward, 44)
FIELD(tuff_conform_report, mask, 45)
FIELD(tuff_conform_report, cases, 304)
FIELD(tuff_conform_report, n_cases, 312)
FIELD(tuff_conform_report, n_failed, 320)
FIELD(tuff_conform_report, rows, 328)
FIELD(tuff_conform_report, n_rows, 336)
FIELD(tuff_conform_report, n_unreached, 344)
FIELD(tuff_conform_report, plans, 352)
FIELD(tuff_conform_report, dispatches, 360)
FIELD(tuff_conform_report, pipelines, 368)
FIELD(tuff_conform_report, worst, 376)
FIELD(tuff_conform_report, worst_backward, 384)
FIELD(tuff_conform_report, seconds, 392)
FIELD(tuff_conform_report, verdict, 400)
FIELD(tuff_conform_report, error, 408)
FIELD(tuff_conform_report, running, 416)
FIELD(tuff_conform_report, n_planned, 424)
FIELD(tuff_conform_report, n_listed, 432)
FIELD(tuff_conform_report, validation, 440)
FIELD(tuff_conform_report, version, 448)
FIELD(tuff_conform_report, commit, 456)
FIELD(tuff_conform_report, date, 464)
FIELD(tuff_conform_report, host, 472)
FIELD(tuff_conform_report, system, 480)
FIELD(tuff_conform_report, environment, 488)

STRUCT(tuff_conform_params, 160)
FIELD(tuff_conform_params, struct_size, 0)
FIELD(tuff_conform_params, device, 8)
FIELD(tuff_conform_params, ops, 16)
FIELD(tuff_conform_params, name, 24)
FIELD(tuff_conform_params, mask, 32)
FIELD(tuff_conform_params, level, 40)
FIELD(tuff_conform_params, seed, 48)
FIELD(tuff_conform_params, minutes, 56)
FIELD(tuff_conform_params, rounds, 64)
FIELD(tuff_conform_params, backward_only, 72)
FIELD(tuff_conform_params, forward_only, 73)
FIELD(tuff_conform_params, validate, 74)
FIELD(tuff_conform_params, permute, 80)
FIELD(tuff_conform_params, submit_ms, 88)
FIELD(tuff_conform_params, progress, 96)
FIELD(tuff_conform_params, user, 104)
FIELD(tuff_conform_params, exclude, 112)
FIELD(tuff_conform_params, expect_fail, 120)
FIELD(tuff_conform_params, shard, 128)
FIELD(tuff_conform_params, shards, 132)
FIELD(tuff_conform_params, dump, 136)
FIELD(tuff_conform_params, begin, 144)
FIELD(tuff_conform_params, record, 152)
FIELD(tuff_conform_params, threads, 160)
FIELD(tuff_conform_params, first, 168)
FIELD(tuff_conform_params, count, 176)
LAST(tuff_conform_params, count)

STRUCT(tuff_conform_mask, 24)
FIELD(tuff_conform_mask, name, 0)
FIELD(tuff_conform_mask, settings, 8)
FIELD(tuff_conform_mask, why, 16)

STRUCT(tuff_progress, 24)
FIELD(tuff_progress, phase, 0)
FIELD(tuff_progress, done, 8)
FIELD(tuff_progress, total, 16)

STRUCT(tuff_watch, 32)
FIELD(tuff_watch, struct_size, 0)
FIELD(tuff_watch, cancel, 8)
FIELD(tuff_watch, on_progress, 16)
FIELD(tuff_watch, user, 24)
LAST(tuff_watch, user)
/* clang-format on */
#endif

/* What every caller-made struct begins with, set by its macro. */
#define SETS_SIZE(type, macro)                            \
    do {                                                  \
        const type made = macro;                          \
        assert_int_equal(made.struct_size, sizeof made);  \
        assert_int_equal(offsetof(type, struct_size), 0); \
    } while (0)

static void macros_set_the_size(void **state)
{
    (void)state;
    SETS_SIZE(tuff_allocator, TUFF_ALLOCATOR_INIT);
    SETS_SIZE(tuff_host_stats, TUFF_HOST_STATS_INIT);
    SETS_SIZE(tuff_device_info, TUFF_DEVICE_INFO_INIT);
    SETS_SIZE(tuff_device_params, TUFF_DEVICE_PARAMS_INIT);
    SETS_SIZE(tuff_device_stats, TUFF_DEVICE_STATS_INIT);
    SETS_SIZE(tuff_embedder_params, TUFF_EMBEDDER_PARAMS_INIT);
    SETS_SIZE(tuff_predictor_params, TUFF_PREDICTOR_PARAMS_INIT);
    SETS_SIZE(tuff_predict_result, TUFF_PREDICT_RESULT_INIT);
    SETS_SIZE(tuff_fill_params, TUFF_FILL_PARAMS_INIT);
    SETS_SIZE(tuff_classify_params, TUFF_CLASSIFY_PARAMS_INIT);
    SETS_SIZE(tuff_entities_params, TUFF_ENTITIES_PARAMS_INIT);
    SETS_SIZE(tuff_answer_params, TUFF_ANSWER_PARAMS_INIT);
    SETS_SIZE(tuff_embed_params, TUFF_EMBED_PARAMS_INIT);
    SETS_SIZE(tuff_embed_result, TUFF_EMBED_RESULT_INIT);
    SETS_SIZE(tuff_chunk_params, TUFF_CHUNK_PARAMS_INIT);
    SETS_SIZE(tuff_embed_file_params, TUFF_EMBED_FILE_PARAMS_INIT);
    SETS_SIZE(tuff_embed_file_result, TUFF_EMBED_FILE_RESULT_INIT);
    SETS_SIZE(tuff_pair_params, TUFF_PAIR_PARAMS_INIT);
    SETS_SIZE(tuff_sts_params, TUFF_STS_PARAMS_INIT);
    SETS_SIZE(tuff_sts_result, TUFF_STS_RESULT_INIT);
    SETS_SIZE(tuff_retrieval_params, TUFF_RETRIEVAL_PARAMS_INIT);
    SETS_SIZE(tuff_retrieval_result, TUFF_RETRIEVAL_RESULT_INIT);
    SETS_SIZE(tuff_generator_params, TUFF_GENERATOR_PARAMS_INIT);
    SETS_SIZE(tuff_batcher_params, TUFF_BATCHER_PARAMS_INIT);
    SETS_SIZE(tuff_generate_params, TUFF_GENERATE_PARAMS_INIT);
    SETS_SIZE(tuff_generate_result, TUFF_GENERATE_RESULT_INIT);
    SETS_SIZE(tuff_generate_memory, TUFF_GENERATE_MEMORY_INIT);
    SETS_SIZE(tuff_generate_many_params, TUFF_GENERATE_MANY_PARAMS_INIT);
    SETS_SIZE(tuff_generate_many_result, TUFF_GENERATE_MANY_RESULT_INIT);
    SETS_SIZE(tuff_model_info, TUFF_MODEL_INFO_INIT);
    SETS_SIZE(tuff_save_params, TUFF_SAVE_PARAMS_INIT);
    SETS_SIZE(tuff_adapter_params, TUFF_ADAPTER_PARAMS_INIT);
    SETS_SIZE(tuff_importance_params, TUFF_IMPORTANCE_PARAMS_INIT);
    SETS_SIZE(tuff_program_memory, TUFF_PROGRAM_MEMORY_INIT);
    SETS_SIZE(tuff_sampling, TUFF_SAMPLING_INIT);
    SETS_SIZE(tuff_logit_bias, TUFF_LOGIT_BIAS_INIT);
    SETS_SIZE(tuff_vocab_desc, TUFF_VOCAB_DESC_INIT);
    SETS_SIZE(tuff_encode_params, TUFF_ENCODE_PARAMS_INIT);
    SETS_SIZE(tuff_chat_params, TUFF_CHAT_PARAMS_INIT);
    SETS_SIZE(tuff_attention_params, TUFF_ATTENTION_PARAMS_INIT);
    SETS_SIZE(tuff_adamw_params, TUFF_ADAMW_PARAMS_INIT);
    SETS_SIZE(tuff_adamw_slot, TUFF_ADAMW_SLOT_INIT);
    SETS_SIZE(tuff_momentum_slot, TUFF_MOMENTUM_SLOT_INIT);
    SETS_SIZE(tuff_sgd_params, TUFF_SGD_PARAMS_INIT);
    SETS_SIZE(tuff_lion_params, TUFF_LION_PARAMS_INIT);
    SETS_SIZE(tuff_momentum_params, TUFF_MOMENTUM_PARAMS_INIT);
    SETS_SIZE(tuff_adafactor_params, TUFF_ADAFACTOR_PARAMS_INIT);
    SETS_SIZE(tuff_adafactor_slot, TUFF_ADAFACTOR_SLOT_INIT);
    SETS_SIZE(tuff_adamw_8bit_slot, TUFF_ADAMW_8BIT_SLOT_INIT);
    SETS_SIZE(tuff_text_params, TUFF_TEXT_PARAMS_INIT);
    SETS_SIZE(tuff_data_params, TUFF_DATA_PARAMS_INIT);
    SETS_SIZE(tuff_data_report, TUFF_DATA_REPORT_INIT);
    SETS_SIZE(tuff_train_params, TUFF_TRAIN_PARAMS_INIT);
    SETS_SIZE(tuff_train_memory, TUFF_TRAIN_MEMORY_INIT);
    SETS_SIZE(tuff_train_step, TUFF_TRAIN_STEP_INIT);
    SETS_SIZE(tuff_train_report_params, TUFF_TRAIN_REPORT_PARAMS_INIT);
    SETS_SIZE(tuff_checkpoint_params, TUFF_CHECKPOINT_PARAMS_INIT);
    SETS_SIZE(tuff_checkpoint_info, TUFF_CHECKPOINT_INFO_INIT);
    SETS_SIZE(tuff_eval_result, TUFF_EVAL_RESULT_INIT);
    SETS_SIZE(tuff_eval_params, TUFF_EVAL_PARAMS_INIT);
    SETS_SIZE(tuff_conform_params, TUFF_CONFORM_PARAMS_INIT);
    SETS_SIZE(tuff_watch, TUFF_WATCH_INIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(macros_set_the_size)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
