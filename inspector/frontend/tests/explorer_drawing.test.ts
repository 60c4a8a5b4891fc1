import assert from "node:assert/strict";
import test from "node:test";
import { Camera } from "../src/explorer/camera.ts";
import { dashAt, sidesInSight } from "../src/explorer/dashes.ts";
import { drive, finish } from "../src/explorer/drive.ts";
import { fileName, pngScale } from "../src/explorer/export.ts";
import { familyOf, operatorOf } from "../src/explorer/families.ts";
import { containerLabel, nodeLabel, Ruler, shortDtype } from "../src/explorer/labels.ts";
import { escaped, SvgBrush } from "../src/explorer/svg_brush.ts";
import { Tree } from "../src/explorer/tree.ts";
import { llama, model } from "./graphs.ts";

test("an operator's family comes from its name, whatever stage spells it", () => {
  const expected: [string, string][] = [
    ["torch.ops.aten.mm.default", "matmul"], ["torch._C._nn.linear", "matmul"], ["torch.nn.functional.conv2d", "matmul"], ["torch.ops.prims.convert_element_type.default", "memory"],
    ["torch._C._nn.scaled_dot_product_attention", "attention"], ["torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default", "attention"],
    ["torch.ops.aten.native_layer_norm.default", "reduce"], ["torch.ops.aten._softmax.default", "reduce"], ["operator.add", "elementwise"], ["torch.ops.aten.silu.default", "elementwise"],
    ["operator.getitem", "view"], ["torch.ops.aten.permute.default", "view"], ["torch.ops.aten.embedding.default", "memory"], ["torch.ops._c10d_functional.all_reduce.default", "collective"],
    ["torch.ops.higher_order.cond", "control"], ["torch.ops.aten.sym_size.int", "size"], ["torch.ops.mylib.rotate.default", "custom"], ["", "elementwise"],
  ];
  for (const [target, family] of expected) assert.equal(familyOf(target), family, target);
});

test("an operator's name is split into what tells it apart", () => {
  assert.deepEqual(operatorOf("torch.ops.aten.add.Tensor"), { space: "aten", word: "add", overload: "Tensor" });
  assert.deepEqual(operatorOf("torch.ops.aten.mm.default"), { space: "aten", word: "mm", overload: "" });
  assert.deepEqual(operatorOf("torch._C._nn.linear"), { space: "", word: "linear", overload: "" });
  assert.deepEqual(operatorOf("mylib.ops_of_mine.fuse"), { space: "ops_of_mine", word: "fuse", overload: "" });
});

test("a node's second line is its dtype and shape, or its value", () => {
  const graph = model({ nodes: [{ name: "a", shape: "[s0, 4]", dtype: "torch.bfloat16" }, { name: "b", value: "s0 + 1" }, { name: "c" }, { name: "lost", op: "call_module", target: "layers.0.mlp.act" }] });
  assert.deepEqual([0, 1, 2].map((node) => nodeLabel(graph, node).detail), ["bf16[s0, 4]", "= s0 + 1", ""]);
  assert.equal(nodeLabel(graph, 3).word, "mlp.act");
  assert.deepEqual(["torch.float32", "f16", "torch.bool", "torch.int64", "torch.float8_e4m3fn"].map(shortDtype), ["f32", "f16", "b8", "i64", "f8_e4m3fn"]);
});

test("a container says how many alike members it merges, and how many differ", () => {
  const tree = new Tree(model(llama(6, { odd: 3 })));
  const label = (path: string) => containerLabel(tree, tree.at(path) as number);
  assert.deepEqual([label("model.layers.0…2").times, label("model.layers.0…2").name], [3, "0 … 2"]);
  assert.equal(label("model.layers.3").flag, "differs");
  assert.equal(label("model.layers").flag, "1 differs");
  assert.equal(label("model.layers.0…2").detail, "LlamaDecoderLayer · 71 nodes each");
});

test("a text that is too wide ends in an ellipsis and never in half a character", () => {
  const ruler = new Ruler(() => undefined, (text) => [...text].length * 10);
  assert.equal(ruler.fit("short", "f", 50), "short");
  assert.equal(ruler.fit("much too long", "f", 50), "much…");
  assert.equal(ruler.fit("🙂🙂🙂🙂🙂🙂", "f", 40).includes("\ud83d\u2026"), false);
  assert.equal(ruler.fit("wide", "f", 3), "");
});

test("zooming keeps the place under the pointer, and stays within bounds", () => {
  const camera = new Camera(() => undefined);
  camera.resize(800, 600);
  const before = camera.toWorld(200, 100);
  camera.zoom(1.7, 200, 100);
  const after = camera.toWorld(200, 100);
  assert.ok(Math.abs(before.x - after.x) < 1e-9 && Math.abs(before.y - after.y) < 1e-9);
  camera.zoom(1e9);
  assert.equal(camera.scale, 4);
  camera.zoom(1e-12);
  assert.ok(camera.scale > 0);
});

test("a rectangle is brought into sight by the shortest way, and left alone where it is in sight", () => {
  const camera = new Camera(() => undefined);
  camera.resize(800, 600);
  camera.bring({ x: 300, y: 200, width: 100, height: 40 });
  assert.deepEqual([camera.left, camera.top], [0, 0]);
  camera.bring({ x: 1000, y: 200, width: 100, height: 40 });
  assert.deepEqual([camera.left, camera.top], [348, 0]);
});

test("where a camera is going is known on the way, and a canvas of another size does not turn it aside", () => {
  const camera = new Camera(() => undefined);
  camera.resize(800, 600);
  camera.bring({ x: 2000, y: 200, width: 100, height: 40 }, { smooth: true });
  assert.equal(camera.view.x, 0);
  assert.deepEqual([camera.ahead.x, camera.ahead.width], [1348, 800]);
  camera.resize(600, 600);
  assert.deepEqual([camera.view.x, camera.ahead.x, camera.ahead.width], [100, 1448, 600]);
  camera.step(performance.now() + 1000);
  assert.equal(camera.view.x, 1448);
});

test("work that runs in slices ends with its value, and a stale one never does", async () => {
  function* work(): Generator<void, number> {
    for (let at = 0; at < 50; at += 1) yield;
    return 7;
  }
  assert.equal(finish(work()), 7);
  assert.equal(await new Promise((done, failed) => drive(work(), 0, () => false, done, failed)), 7);
  drive(work(), 0, () => true, () => assert.fail("it was stale"), () => assert.fail("it was stale"));
});

test("SVG holds texts as text, whatever they hold", () => {
  const brush = new SvgBrush();
  brush.font = '600 12px "Some Font", sans-serif';
  brush.fillText('<script>alert("1")</script>&\u0000\ud800 שלום', 1, 2);
  brush.fillStyle = '"><x';
  brush.fillRect(0, 0, 1, 1);
  const text = brush.document(10, 10, "#fff", "<b>");
  assert.equal(text.includes("<script"), false);
  assert.equal(text.includes("<x"), false);
  assert.ok(text.includes("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;\ufffd\ufffd שלום"));
  assert.equal(escaped("\u0001a\udc00b🙂"), "\ufffda\ufffdb🙂");
});

test("a brush that was moved and scaled writes where it stands", () => {
  const brush = new SvgBrush();
  brush.save();
  brush.translate(10, 20);
  brush.scale(2);
  brush.beginPath();
  brush.moveTo(1, 1);
  brush.lineTo(2, 3);
  brush.lineWidth = 1.5;
  brush.setLineDash([2, 1]);
  brush.stroke();
  brush.restore();
  brush.fillRect(1, 1, 4, 4);
  const text = brush.document(5, 5, "#fff", "t");
  assert.ok(text.includes('d="M12 22L14 26"') && text.includes('stroke-width="3"') && text.includes('stroke-dasharray="4 2"'));
  assert.ok(text.includes('<rect x="1" y="1" width="4" height="4"'));
});

test("a PNG file is twice the picture's size, and smaller where that cannot be opened", () => {
  assert.equal(pngScale(500, 400), 2);
  assert.ok(200_000 * pngScale(900, 200_000) <= 16_000);
  assert.ok(9000 * 9000 * pngScale(9000, 9000) ** 2 <= 60_000_001);
});

test("a file's name holds nothing but plain characters", () => {
  assert.equal(fileName("0/1", "post_grad", "svg"), "graph-0-1-post_grad.svg");
  assert.equal(fileName("../..", "<b>שלום", "png"), "graph-..-..-b.png");
});

test("a border is dashed only where it is in sight, and its dashes stand still while the picture moves", () => {
  const border = { x: 40, y: 100, width: 500, height: 1_000_000 };
  const sight = { x: 0, y: 400_003, width: 900, height: 800 };
  assert.deepEqual(sidesInSight(border, 10, sight, 10), [40, 400_000, 40, 400_803, 540, 400_000, 540, 400_803]);
  assert.deepEqual(sidesInSight(border, 10, { ...sight, y: 400_009 }, 10).filter((_, at) => at % 4 === 1), [400_000, 400_000]);
  assert.deepEqual(sidesInSight(border, 10, { ...sight, x: 100, width: 100 }, 10), []);
  assert.deepEqual(sidesInSight(border, 10, { x: 0, y: 0, width: 900, height: 800 }, 10), [50, 100, 530, 100, 40, 110, 40, 800, 540, 110, 540, 800]);
  assert.deepEqual(sidesInSight({ ...border, height: 12 }, 10, { x: 0, y: 0, width: 900, height: 800 }, 10).length, 8);
});

test("dashes are as long on the screen from afar as they are near", () => {
  const [on, off] = dashAt(0.07);
  assert.ok(Math.abs(on * 0.07 - 4.2) < 1e-9 && Math.abs(off * 0.07 - 2.8) < 1e-9);
  assert.deepEqual(dashAt(2), [6, 4]);
});
