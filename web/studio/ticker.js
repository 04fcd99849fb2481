// Ticks for the test pattern. A page in the background is woken once a second only; a worker goes on.
// The page posts the milliseconds from tick to tick.
onmessage = ({ data }) => setInterval(() => postMessage(0), data);
