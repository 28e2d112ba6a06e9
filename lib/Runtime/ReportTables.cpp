//===- ReportTables.cpp - Layers over time, and the table of bits ---------------------------===//

#include "ReportSections.h"

#include "ReportChart.h"
#include "Verdict.h"

#include <algorithm>
#include <cmath>
#include <map>

using namespace nibble;
using namespace nibble::runtime;
using namespace nibble::runtime::report;

//===----------------------------------------------------------------------===//
// Layers over time
//===----------------------------------------------------------------------===//

namespace {

struct Column {
  Measure measure;
  const char *title, *help;
  Curve LayerHistory::*curve;
};

const Column columns[] = {
    {Measure::Underflow, "Underflow", "codes that are zero", &LayerHistory::underflow},
    {Measure::Saturation, "Saturation", "held at the grid's top", &LayerHistory::saturation},
    {Measure::Scale, "Scale", "logarithmic", &LayerHistory::scale},
    {Measure::Gain, "Gain", "⟨Q(g),g⟩/⟨g,g⟩", &LayerHistory::gain},
    {Measure::Sqnr, "SQNR", "dB", &LayerHistory::sqnr}};

std::string shown(double value, Measure measure) {
  if (measure == Measure::Underflow || measure == Measure::Saturation)
    return percent(value);
  return number(measure == Measure::Sqnr ? std::round(value * 100) / 100 : value);
}

std::string cells(const LayerHistory &layer, const Column &column) {
  const Curve &curve = layer.*column.curve;
  if (curve.empty())
    return "<td class=w><td class=n>";
  std::string last = shown(curve.latest(), column.measure);
  std::string label = layer.name + ", " + column.title + ": last " + last;
  return "<td class=w>" + drawStrip(curve, column.measure, label) + "<td class=n>" + last;
}

std::string legend(const Column &column) {
  std::string out = "<span>" + std::string(column.title) + " (" + column.help + ")";
  double below = 0;
  const std::vector<double> &bounds = classBounds(column.measure);
  for (size_t i = 0; i <= bounds.size(); ++i) {
    std::string range = i < bounds.size() ? number(100 * below) + "–" + number(100 * bounds[i])
                                          : "≥ " + number(100 * below);
    out += "<i style='background:var(--q" + std::to_string(i) + ")'></i>" + range;
    below = i < bounds.size() ? bounds[i] : below;
  }
  return out + " %</span>";
}

/// Rows in the order of the network, where the table of bits tells it.
std::vector<const LayerHistory *> inOrder(const RunHistory &run) {
  std::map<std::string, size_t> place;
  if (run.model)
    for (const ProductSummary &product : run.model->products)
      place.emplace(product.layer, place.size());
  std::vector<const LayerHistory *> rows;
  for (const LayerHistory &layer : run.layers)
    rows.push_back(&layer);
  auto placeOf = [&](const LayerHistory *layer) {
    auto found = place.find(layer->name);
    return found == place.end() ? place.size() : found->second;
  };
  std::sort(rows.begin(), rows.end(),
            [&](auto *a, auto *b) { return std::pair(placeOf(a), a) < std::pair(placeOf(b), b); });
  return rows;
}

const char *glyph(Mood mood) {
  return mood == Mood::Bad ? "<span class='mark bad' title='does not work'>✕</span> "
                           : "<span class='mark watch' title='worth a look'>!</span> ";
}

} // namespace

std::string report::layersOf(const RunHistory &run) {
  if (run.layers.empty())
    return "";
  std::vector<const Column *> present;
  for (const Column &column : columns)
    if (std::any_of(run.layers.begin(), run.layers.end(),
                    [&](const LayerHistory &layer) { return !(layer.*column.curve).empty(); }))
      present.push_back(&column);
  std::string steps, head = "<tr><th>Layer", body;
  for (const Curve::Bucket &bucket : run.layers.front().underflow.buckets())
    steps += (steps.empty() ? "" : ",") + std::to_string(bucket.last);
  for (const Column *column : present)
    head += std::string("<th>") + column->title + "<th class=n>last";
  for (const LayerHistory *layer : inOrder(run)) {
    Mood mood = moodOf(*layer);
    bool marked = mood == Mood::Bad || mood == Mood::Watch;
    body += "<tr" + (marked ? std::string(" class=") + name(mood) : "") + "><th scope=row title='" +
            escape(layer->name) + "'>" + (marked ? glyph(mood) : "") + escape(layer->name);
    for (const Column *column : present)
      body += cells(*layer, *column);
    body += "\n";
  }
  std::string legends;
  for (const Column *column : present)
    if (column->measure == Measure::Underflow || column->measure == Measure::Saturation)
      legends += legend(*column);
  bool dense = run.layers.size() > manyRows;
  return "<section><h2>Output gradients, layer by layer</h2><p>From the codes of each quantized "
         "layer's output gradient, first step on the left, last on the right; each scale on its "
         "own "
         "axis. Zeros that ReLU and pooling make count as underflow, so much of it is normal; what "
         "is not is marked.</p><div class=scroll><table data-steps='[" +
         steps + "]'" + (dense ? " class=dense" : "") + "><thead>" + head + "<tbody>\n" + body +
         "</table></div><div class=legend>" + legends + "</div></section>";
}

//===----------------------------------------------------------------------===//
// Bits
//===----------------------------------------------------------------------===//

namespace {

struct LayerProducts {
  std::string layer, kind;
  std::map<std::string, std::vector<const ProductSummary *>> products;
  int64_t multiplyAdds = 0;
};

std::vector<LayerProducts> byLayer(const ModelSummary &model) {
  std::vector<LayerProducts> rows;
  std::map<std::string, size_t> place;
  for (const ProductSummary &product : model.products) {
    auto [at, isNew] = place.emplace(product.layer, rows.size());
    if (isNew)
      rows.emplace_back().layer = product.layer;
    LayerProducts &row = rows[at->second];
    if (row.kind.empty())
      row.kind = product.kind;
    row.products[product.product].push_back(&product);
    row.multiplyAdds += product.multiplyAdds;
  }
  return rows;
}

std::string productCell(const std::vector<const ProductSummary *> &products) {
  std::string out;
  for (const ProductSummary *product : products) {
    if (!out.empty())
      out += "<br>";
    if (product->bits <= 0) {
      out += "<span class=soft>–</span>";
      continue;
    }
    std::string bits = std::to_string(product->bits);
    out += "<span class='bits b" + bits + "'>" + bits + "</span>" + escape(product->left) + " × " +
           escape(product->right);
  }
  return out;
}

/// Reasons of the layer's products, each once.
std::string reasons(const LayerProducts &row) {
  std::vector<std::pair<std::string, std::string>> found; // reason, products
  size_t count = 0;
  for (const char *kind : {"Y", "dX", "dW"}) {
    auto at = row.products.find(kind);
    if (at == row.products.end())
      continue;
    for (const ProductSummary *product : at->second) {
      ++count;
      if (product->reason.empty())
        continue;
      auto same = std::find_if(found.begin(), found.end(),
                               [&](auto &f) { return f.first == product->reason; });
      if (same == found.end())
        found.emplace_back(product->reason, kind);
      else
        same->second += std::string(", ") + kind;
    }
  }
  std::string out;
  for (auto &[reason, products] : found) {
    bool all = found.size() == 1 &&
               static_cast<size_t>(std::count(products.begin(), products.end(), ',')) + 1 == count;
    out += (out.empty() ? "" : "; ") + (all ? "" : products + ": ") + escape(reason);
  }
  return out;
}

std::string shareBar(const ModelSummary &model) {
  double four = shareOfBits(model, 4).value_or(0), eight = shareOfBits(model, 8).value_or(0);
  std::string out = "<div class=share aria-hidden=true>";
  struct Part {
    double share;
    const char *style, *text;
  };
  for (const Part &part : {Part{four, "b4", "4 bits "}, Part{eight - four, "b8", "8 bits "},
                           Part{1 - eight, "b32", "float "}}) {
    if (part.share <= 1e-9)
      continue;
    bool roomy = part.share > 0.12;
    out += "<div class='" + std::string(part.style) + (roomy ? "" : " tiny") +
           "' style='flex:" + number(std::max(0.001, part.share)) + "' title='" + part.text +
           percent(part.share) + "'>" + (roomy ? part.text + percent(part.share) : "") + "</div>";
  }
  return out + "</div><div class=legend><span><i style='background:var(--a)'></i>" + percent(four) +
         " in 4 bits<i style='background:var(--q2)'></i>" + percent(eight - four) +
         " in 8 bits<i></i>" + percent(1 - eight) + " in float</span></div>";
}

} // namespace

std::string report::bitsOf(const ModelSummary &model) {
  if (model.products.empty())
    return "";
  std::vector<LayerProducts> rows = byLayer(model);
  std::string body;
  for (const LayerProducts &row : rows) {
    body += "<tr><th scope=row title='" + escape(row.layer) + "'>" + escape(row.layer) + "<td>" +
            escape(row.kind);
    for (const char *product : {"Y", "dX", "dW"}) {
      auto at = row.products.find(product);
      body += "<td class=p>" + (at == row.products.end() ? std::string() : productCell(at->second));
    }
    body += "<td class=n>" + grouped(row.multiplyAdds) + "<td class=why>" + reasons(row) + "\n";
  }
  return "<section><h2>What runs in how many bits</h2><p>Read off the compiled program: the "
         "operands "
         "of each layer's three products, and the share of all multiply-adds of a step.</p>" +
         shareBar(model) + "<div class=scroll><table" +
         (rows.size() > manyRows ? " class=dense" : "") +
         "><thead><tr><th>Layer<th>Op<th>Y = X·W<th>dX = dY·Wᵀ<th>dW = Xᵀ·dY<th "
         "class=n>Multiply-adds<th>Why not 4<tbody>\n" +
         body + "</table></div></section>";
}
