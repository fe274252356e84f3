// Only browsers too old for modules run this.
document.getElementById("message").hidden = false;
document.getElementById("message").textContent =
  "This browser is too old to run the model: it has no WebAssembly SIMD. Firefox 114, Chrome 91, Safari 16.4 or newer can.";
