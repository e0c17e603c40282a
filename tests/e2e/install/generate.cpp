// The installed headers from C++: generate MODEL.
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <tuff/tuff.h>

namespace {

void check(tuff_status status)
{
    if (status != TUFF_OK)
        throw std::runtime_error(std::string(tuff_status_name(status)) + ": " + tuff_error_message());
}

void expect(bool condition, const char *what)
{
    if (!condition) throw std::runtime_error(std::string("not so: ") + what);
}

template <typename T, void (*destroy)(T **)> struct Destroy {
    void operator()(T *object) const { destroy(&object); }
};
template <typename T, void (*destroy)(T **)> using Owned = std::unique_ptr<T, Destroy<T, destroy>>;

Owned<tuff_model, tuff_model_destroy> load(const std::string &path)
{
    tuff_model *model = nullptr;
    check(tuff_model_load(path.c_str(), &model));
    return Owned<tuff_model, tuff_model_destroy>(model);
}

Owned<tuff_device, tuff_device_destroy> open_device(const char *name)
{
    tuff_device_params params = TUFF_DEVICE_PARAMS_INIT;
    params.name = name;
    tuff_device *device = nullptr;
    check(tuff_device_open(&params, &device));
    return Owned<tuff_device, tuff_device_destroy>(device);
}

bool append(const char *text, size_t size, void *user)
{
    static_cast<std::string *>(user)->append(text, size);
    return true;
}

void generate(const std::string &path)
{
    auto model = load(path);
    auto device = open_device("cpu");
    tuff_generator *made = nullptr;
    check(tuff_generator_create(model.get(), device.get(), nullptr, &made));
    Owned<tuff_generator, tuff_generator_destroy> generator(made);

    const std::string prompt = "Once upon a time";
    std::string text;
    tuff_sampling sampling = TUFF_SAMPLING_INIT;
    sampling.temperature = 0.8f;
    sampling.seed = 7;
    tuff_generate_params params = TUFF_GENERATE_PARAMS_INIT;
    params.sampling = &sampling;
    params.max_new_tokens = 12;
    params.ignore_eos = true;
    params.on_text = append;
    params.user = &text;
    tuff_generate_result result = TUFF_GENERATE_RESULT_INIT;
    check(tuff_generate(generator.get(), prompt.data(), prompt.size(), &params, &result));
    std::cout << prompt << text << "\n";
    expect(result.new_tokens == 12 && result.finish == TUFF_FINISH_LENGTH, "12 tokens were made");
    expect(!text.empty(), "their text came");
}

void refuse(const std::string &path)
{
    try {
        load(path + "/nowhere");
    } catch (const std::runtime_error &e) {
        expect(std::string(e.what()).find("not found: ") == 0, "a missing model is not found");
        return;
    }
    expect(false, "a missing model is an error");
}

std::vector<tuff_device_info> devices()
{
    size_t count = 0;
    check(tuff_list_devices(nullptr, 0, &count));
    const tuff_device_info empty = TUFF_DEVICE_INFO_INIT;
    std::vector<tuff_device_info> all(count, empty);
    check(tuff_list_devices(all.data(), all.size(), &count));
    return all;
}

} // namespace

int main(int argc, char **argv)
{
    if (argc != 2) return 2;
    try {
        for (const tuff_device_info &device : devices())
            std::cout << device.name << ": " << device.reason << "\n";
        generate(argv[1]);
        refuse(argv[1]);
        tuff_host_stats stats = TUFF_HOST_STATS_INIT;
        check(tuff_get_host_stats(&stats));
        expect(stats.allocations > 0 && stats.live == 0, "all memory was given back");
    } catch (const std::exception &e) {
        std::cerr << e.what() << "\n";
        return 1;
    }
    return 0;
}
