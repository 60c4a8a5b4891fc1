// An esbuild plugin: `import source from "./worker.ts?text"` is that module, bundled, as the text of a classic script.
import { build } from "esbuild";
import { dirname, resolve } from "node:path";

export const workerText = {
  name: "worker-text",
  setup(pass) {
    pass.onResolve({ filter: /\?text$/ }, ({ path, importer }) => ({ path: resolve(dirname(importer), path.replace(/\?text$/, "")), namespace: "worker-text" }));
    pass.onLoad({ filter: /.*/, namespace: "worker-text" }, async ({ path }) => {
      const { outputFiles } = await build({ entryPoints: [path], bundle: true, minify: true, write: false, format: "iife", target: "es2021", charset: "utf8", legalComments: "none" });
      return { contents: outputFiles[0].text.trim(), loader: "text", watchFiles: [path] };
    });
  },
};
