/* Models of assets/golden on a device, against the truth that PyTorch computed in double. */
#ifndef TUFF_TESTS_GOLDEN_H
#define TUFF_TESTS_GOLDEN_H

/* Run all checks on the device of this name and return the exit code; 77 when there is no such device. */
int golden_main(const char *device);        /* language models */
int encoder_main(const char *device);       /* encoders */
int batch_main(const char *device);         /* language models: sequences that are decoded together */
int tasks_main(const char *device);         /* 50 steps of each task */
int task_adapters_main(const char *device); /* 50 steps of each task with adapters */
int seq2seq_main(const char *device);       /* encoder-decoders */
int optimizers_main(const char *device);    /* 50 steps by each optimizer */
int settings_main(const char *device);      /* 50 steps with other settings */
int conversations_main(const char *device); /* answers in conversations */
int preference_main(const char *device);    /* 50 steps by each loss of preferences */

#endif
