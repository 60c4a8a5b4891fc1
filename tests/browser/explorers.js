// What tests and measurements ask of the explorers of a document: each says when it was made and when it was first painted, where its
// boxes are on the screen, and how long what is done with it takes. Added to a page before its own scripts run.
(() => {
  const now = () => performance.timeOrigin + performance.now();
  const frame = () => new Promise((done) => requestAnimationFrame(() => done()));
  const painted = async () => {
    await frame();
    await new Promise((done) => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => done();
      channel.port2.postMessage(0);
    });
  };
  const kept = [];
  document.addEventListener("compile-inspector:explorer", ({ detail }) => {
    const entry = { explorer: detail, made: now(), painted: null };
    kept.push(entry);
    detail.view.painted = async () => {
      await painted();
      entry.painted = now();
    };
  });

  /** The longest time for which the main thread took no message while `act` and what follows from it ran. */
  const watched = async (act) => {
    let worst = 0;
    let last = performance.now();
    let on = true;
    const channel = new MessageChannel();
    channel.port1.onmessage = () => {
      const at = performance.now();
      worst = Math.max(worst, at - last);
      last = at;
      if (on) channel.port2.postMessage(0);
    };
    channel.port2.postMessage(0);
    const begin = performance.now();
    await act();
    const took = performance.now() - begin;
    worst = Math.max(worst, performance.now() - last);
    on = false;
    return { took, worst };
  };

  /** Does something that makes another layout, and waits until it is on the screen. */
  const laidOut = ({ view }, act) =>
    watched(async () => {
      const before = view.picture;
      act();
      while (view.picture === before) await frame();
      const { frames } = view.timing;
      while (view.timing.frames === frames) await frame();
      await painted();
    });

  /** Moves the picture once a frame: how long painting took each time, and how long it was from frame to frame. */
  const moved = async ({ view }, times, act) => {
    const painting = [];
    const between = [];
    const turn = () => new Promise(requestAnimationFrame);
    act(0);
    for (let at = 1, last = await turn(); at <= times; at += 1) {
      act(at);
      const next = await turn();
      between.push(next - last);
      painting.push(view.timing.frame_ms);
      last = next;
    }
    return { painting, between };
  };

  const runsOf = ({ state }) => Array.from({ length: state.tree.count }, (_, at) => at).filter((at) => state.tree.isRun(at));

  const measures = {
    /** Spreads the longest run, then opens one member of it. */
    async expandOne(explorer, which) {
      const { state } = explorer;
      const run = runsOf(explorer).sort((a, b) => state.tree.membersOf(b).length - state.tree.membersOf(a).length)[0];
      state.collapseAll();
      await frame();
      if (!state.expanded.has(state.tree.path(run))) await laidOut(explorer, () => state.expand(state.tree.path(run)));
      const members = state.tree.membersOf(run);
      return laidOut(explorer, () => state.expand(state.tree.path(members[which % members.length])));
    },
    async expandAll(explorer) {
      explorer.state.collapseAll();
      for (let at = 0; at < 20; at += 1) await frame();
      return laidOut(explorer, () => explorer.state.expandAll());
    },
    pan: (explorer) => moved(explorer, 40, (at) => explorer.view.camera.pan(at % 2 ? 30 : -30, -60)),
    async zoom(explorer) {
      explorer.view.fit(false);
      return moved(explorer, 60, (at) => explorer.view.camera.zoom(at < 40 ? 1.12 : 0.9));
    },
    search(explorer, query) {
      const begin = performance.now();
      explorer.state.search(query);
      const took = performance.now() - begin;
      const found = explorer.state.matches.length;
      explorer.state.search("");
      return { took, found };
    },
  };

  window.explorers = {
    kept,
    now,
    frame,
    /** When the explorer after the first `before` ones was first painted; waits for it. */
    async opened(before = 0, limit_ms = 60_000) {
      const until = performance.now() + limit_ms;
      while (!kept[before] || kept[before].painted === null) {
        if (performance.now() > until) throw new Error(`${kept.length} explorers were made, the one after ${before} was not painted in time`);
        await frame();
      }
      return kept[before].painted;
    },
    last: () => kept[kept.length - 1].explorer,
    measure: (name, ...rest) => measures[name](kept[kept.length - 1].explorer, ...rest),
    /** What an explorer shows, as plain values; nodes by their names. */
    facts(index = kept.length - 1) {
      const { state, view } = kept[index].explorer;
      const names = (nodes) => [...nodes].map((node) => state.graph.text("name", node));
      const { graph, compare } = state;
      return {
        compile: graph.compileId,
        stage: graph.stage,
        name: graph.name,
        row: state.row,
        count: graph.count,
        boxes: view.picture?.scene.count ?? 0,
        selection: names(state.selection),
        group: state.selectedGroup,
        edge: state.selectedEdge && state.selectedEdge.pairs.map(names),
        matches: names(state.matches),
        expanded: [...state.expanded],
        overlay: state.overlay,
        problem: state.problem,
        scale: view.camera.scale,
        left: view.camera.left,
        top: view.camera.top,
        compare: compare && { row: compare.row, mode: compare.mode, differences: compare.differences.length },
      };
    },
    /** Waits until nothing is laid out and the picture has stood still for some frames, and gives the facts. */
    async settled(index = kept.length - 1, limit_ms = 20_000) {
      const { view } = kept[index].explorer;
      const until = performance.now() + limit_ms;
      for (let still = 0, before = ""; still < 6; ) {
        if (performance.now() > until) throw new Error(`the picture did not come to rest in ${limit_ms} ms`);
        await frame();
        const { left, top, scale } = view.camera;
        const now = JSON.stringify([left, top, scale, view.picture?.scene.count, view.timing.frames]);
        still = now === before && !view.canvas.hasAttribute("aria-busy") ? still + 1 : 0;
        before = now;
      }
      return window.explorers.facts(index);
    },
    /** Waits until an explorer shows the graph of a row, and gives the facts. */
    async shows(row, index = kept.length - 1, limit_ms = 20_000) {
      const until = performance.now() + limit_ms;
      while (kept[index].explorer.state.row !== row) {
        if (performance.now() > until) throw new Error(`row ${row} was not shown in ${limit_ms} ms`);
        await frame();
      }
      return window.explorers.settled(index);
    },
    /** Where in the window the edge from one box to another comes to it: boxes by a node's name or a group's path. */
    edge(from, to, index = kept.length - 1) {
      const { state, view } = kept[index].explorer;
      const scene = view.picture.scene;
      const box = (which) => (state.tree.at(which) !== undefined ? view.boxOfContainer(which) : view.boxOf(state.graph.nodeOf(which)));
      const [source, target] = [box(from), box(to)];
      const piece = scene.edgeSource.findIndex((each, at) => each === source && scene.edgeTarget[at] === target);
      if (piece < 0) return null;
      const last = scene.pointOffsets[piece + 1] - 2;
      const { left, top } = view.canvas.getBoundingClientRect();
      const { camera } = view;
      return { x: left + (scene.points[last] - camera.left) * camera.scale, y: top + ((scene.points[last + 1] + scene.points[last - 1]) / 2 - camera.top) * camera.scale };
    },
    /** Where the box of a node (by its name) or of a group (by its path) is in the window; null where it is not drawn. */
    place(which, index = kept.length - 1) {
      const { state, view } = kept[index].explorer;
      const scene = view.picture?.scene;
      if (!scene) return null;
      const node = Array.from({ length: state.graph.count }, (_, at) => at).find((at) => state.graph.text("name", at) === which);
      const box = state.tree.at(which) !== undefined ? view.boxOfContainer(which) : node === undefined ? -1 : view.boxOf(node);
      if (box < 0) return null;
      const { left, top } = view.canvas.getBoundingClientRect();
      const { camera } = view;
      const { scale } = camera;
      return {
        x: left + (scene.x[box] - camera.left) * scale,
        y: top + (scene.y[box] - camera.top) * scale,
        width: scene.width[box] * scale,
        height: scene.height[box] * scale,
        open: scene.kind[box] === 0,
        boxes: scene.count,
      };
    },
  };
})();
