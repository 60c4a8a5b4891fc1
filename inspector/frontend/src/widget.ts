// What anywidget loads for a session.

import { render } from "./inspector.ts";

export default { render };
