"use strict";
// A line that goes along with the sound; a click on the picture moves both. Without scripts the player still plays.
for (const figure of document.querySelectorAll("figure.heard")) {
  const sound = figure.querySelector("audio"), stage = figure.querySelector(".stage");
  const line = document.createElement("span");
  const left = Number(figure.dataset.left), width = Number(figure.dataset.width), duration = Number(figure.dataset.duration);
  line.className = "cursor";
  stage.append(line);
  const draw = () => {
    figure.classList.add("playing");
    line.style.left = `${100 * (left + width * Math.min(1, sound.currentTime / duration))}%`;
    if (!sound.paused) requestAnimationFrame(draw);
  };
  for (const event of ["play", "seeked", "pause", "timeupdate"]) sound.addEventListener(event, draw);
  stage.addEventListener("click", (event) => {
    const share = ((event.clientX - stage.getBoundingClientRect().left) / stage.clientWidth - left) / width;
    sound.currentTime = duration * Math.min(1, Math.max(0, share));
    draw();
  });
}
const only = document.querySelector("#only-errors");
if (only) {
  only.closest("label").hidden = false;
  only.addEventListener("change", () => document.querySelector("#all").classList.toggle("filtered", only.checked));
}
