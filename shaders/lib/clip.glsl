/* The factor on gradients, as torch.nn.utils.clip_grad_norm_ has it. */
float tuff_clip(float norm, float max_norm)
{
    return max_norm > 0.0 ? min(1.0, max_norm / (norm + 1e-6)) : 1.0;
}
