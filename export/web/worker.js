// Samples away from the page, which stays alive. A classic worker, as LiteRT calls importScripts.

// Seconds that endless sampling goes ahead of what is played.
const AHEAD = 5;
let sampler = null;
let run = null;

const handlers = {
  async load({ bytes, facts }) {
    const started = performance.now();
    const file = facts.runtime === "libwavenet" ? "./libwavenet.js" : "./sampler.js";
    const { Sampler } = await import(file);
    sampler = await Sampler.load(bytes, facts);
    postMessage({ type: "loaded", seconds: (performance.now() - started) / 1000 });
  },

  async start({ settings, samples }) {
    // One sampler holds one state: a run that goes on ends first.
    const before = run;
    const mine = { played: 0, stopped: false };
    mine.over = new Promise((resolve) => {
      mine.end = resolve;
    });
    run = mine;
    if (before) {
      before.stopped = true;
      await before.over;
    }
    try {
      await sample(mine, settings, samples);
    } finally {
      mine.end();
    }
  },

  change({ conditions }) {
    sampler?.change(conditions);
  },

  played({ samples }) {
    if (run) {
      run.played = samples;
    }
  },

  stop() {
    if (run) {
      run.stopped = true;
    }
  },
};

/** Samples blocks until they are enough, or the run is stopped. */
async function sample(mine, settings, samples) {
  const { sample_rate: rate } = sampler.metadata;
  await sampler.start(settings);
  const end = Math.min(samples, sampler.length);
  let made = 0;
  let seconds = 0;
  while (made < end && !mine.stopped) {
    const started = performance.now();
    const block = await sampler.next();
    seconds += (performance.now() - started) / 1000;
    if (run !== mine) {
      return; // the page would take the block for one of the next run
    }
    const audio = block.slice(0, end - made);
    made += audio.length;
    postMessage({ type: "block", audio, speed: sampler.made / seconds }, [audio.buffer]);
    await turn();
    while (end === Infinity && !mine.stopped && made - mine.played > AHEAD * rate) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  if (run === mine) {
    postMessage({ type: "finished", stopped: mine.stopped });
  }
}

/** Lets messages in, at once; timers wait for some milliseconds. */
function turn() {
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve) => {
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

self.onmessage = async ({ data }) => {
  try {
    await handlers[data.type](data);
  } catch (error) {
    postMessage({ type: "failed", message: String(error?.message ?? error) });
  }
};
