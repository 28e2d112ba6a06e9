//===- PanelInterface.td - what products could share ---------------------------===//
#ifndef NIBBLE_INTERFACES_PANELINTERFACE_TD
#define NIBBLE_INTERFACES_PANELINTERFACE_TD

include "mlir/IR/OpBase.td"

def PanelOpInterface : OpInterface<"PanelOpInterface"> {
  let cppNamespace = "::nibble";
  let description = [{
    The code of a product lays its right operand out in a panel. Schedule finds products that could read one panel, and makes it a
    value (`plan.pack`); this interface is how it learns which could, and how many bytes that takes. Codegen attaches it (an external
    model), since only it knows its panels. The answers hold for every processor.
  }];
  let methods = [
    InterfaceMethod<"Bytes of the product's panel. 0: it makes none, or gains nothing where the panel is made for it.",
                    "int64_t", "getPanelBytes">,
    InterfaceMethod<"The panel's form, as text. Products of one right operand whose texts are equal can read one panel.",
                    "std::string", "getPanelForm">
  ];
}
#endif
