// Builds the bundles that the Python package ships: one for anywidget, one for a page, one for progress.
import { build } from "esbuild";
import { fileURLToPath } from "node:url";
import { workerText } from "./worker_text.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const out = `${root}../compile_inspector/views/static`;
const common = {
  absWorkingDir: root,
  bundle: true,
  minify: true,
  target: "es2021",
  charset: "utf8",
  legalComments: "none",
  loader: { ".css": "text" },
  logLevel: "info",
  plugins: [
    workerText,
    {
      // The sheets are text inside the bundle, made small first.
      name: "css-text",
      setup(pass) {
        pass.onLoad({ filter: /\.css$/ }, async ({ path }) => {
          const { outputFiles } = await build({ entryPoints: [path], minify: true, write: false, target: "es2021", charset: "utf8" });
          return { contents: outputFiles[0].text.trim(), loader: "text" };
        });
      },
    },
  ],
};

await build({ ...common, entryPoints: ["src/widget.ts"], format: "esm", outfile: `${out}/inspector.esm.js` });
await build({ ...common, entryPoints: ["src/page.ts"], format: "iife", outfile: `${out}/inspector.iife.js` });
await build({ ...common, entryPoints: ["src/progress.ts"], format: "esm", outfile: `${out}/progress.esm.js` });
