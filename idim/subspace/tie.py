"""What a bound module carries: theta_d among its parameters, and hooks that call its subspace.

So `zero_grad`, clipping, a Trainer's own optimizer, `state_dict` and `load_state_dict` find
theta_d.  The module keeps its subspace alive; both go together, as any cycle of Python objects.
"""

import weakref
from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any, Protocol, Self

import torch
from torch import Tensor, nn
from torch._compile import _disable_dynamo
from torch.nn.parallel import DistributedDataParallel

from idim.errors import IdimError
from idim.subspace.gradients import hook_gradient, is_bound, plain

# The names of theta_d and the lambdas in the module that holds them.
NAMES = ("subspace_theta_d", "subspace_lambdas")
# The attribute by which DistributedDataParallel is told what is not its business.
IGNORED = "_ddp_params_and_buffers_to_ignore"
LOST = (
    "this module was pickled while it was bound to a subspace, and has lost it: bind a new "
    "Subspace to it, or make the module anew and use Subspace.load."
)


class Bound(Protocol):
    """What a tie calls."""

    sub: Any

    def before_forward(self) -> None:
        """Make theta what theta_d says."""
        ...

    def after_load(self) -> None:
        """Take over a state dict that was loaded into the module."""
        ...

    def take_first(self, parameter: nn.Parameter, gradient: Tensor) -> None:
        """Take the gradient that made a deep copy need its subspace in a backward pass."""
        ...

    def for_copy(self) -> Callable[[nn.Module, "Tie"], "Bound"]:
        """Return what makes the subspace of a deep copy of the module."""
        ...


class Tie:
    """Hooks of one module, and where theta_d lies in it.

    A deep copy of the module gets a tie of its own, which makes the copy's subspace when it is
    first needed: in a forward pass of its own, or when a gradient comes to one of its parameters.
    A module that came through pickle has a tie without subspace: it runs, but refuses to train.

    Args:
        place: the name of the part of the module that holds theta_d; "" for the module itself.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self.sub: Bound | None = None
        self._adopt: Callable[[nn.Module, Tie], Bound] | None = None
        self._ignored: list[str] | None = None  # what DDP was told before
        self._module: weakref.ref[nn.Module] | None = None
        self._inside: list[nn.Parameter] = []
        self._watches: list[Any] = []

    def attach(
        self, module: nn.Module, own: Iterable[nn.Parameter], inside: Iterable[nn.Parameter]
    ) -> None:
        """Register theta_d and the lambdas, and the hooks unless a copy brought them."""
        self._module, self._inside = weakref.ref(module), list(inside)
        for name, parameter in zip(NAMES, own, strict=False):
            module.get_submodule(self.place).register_parameter(name, parameter)
        if tie_of(module) is None:
            self._ignored = getattr(module, IGNORED, None)
            module.register_forward_pre_hook(self.before_forward)
            module.register_load_state_dict_post_hook(self.after_load)
        setattr(module, IGNORED, [*(self._ignored or []), *_hidden(module, self._inside)])

    def detach(self, module: nn.Module) -> None:
        """Take all of it away."""
        self.sub = self._adopt = None
        self._inside = []
        self._unwatch()
        for name in NAMES:
            module.get_submodule(self.place)._parameters.pop(name, None)
        for hooks in (module._forward_pre_hooks, module._load_state_dict_post_hooks):
            for key in [k for k, h in hooks.items() if getattr(h, "__self__", None) is self]:
                del hooks[key]
        if self._ignored is None:
            delattr(module, IGNORED)
        else:
            setattr(module, IGNORED, self._ignored)

    def own(self, module: nn.Module) -> list[nn.Parameter]:
        """Return theta_d and the lambdas as the module holds them."""
        held = module.get_submodule(self.place)._parameters
        return [p for name in NAMES if (p := held.get(name)) is not None]

    def subspace(self, module: nn.Module) -> Bound | None:
        """Return the module's subspace, made now if the module is a deep copy."""
        if self.sub is None and self._adopt is not None:
            adopt, self._adopt = self._adopt, None
            try:
                self.sub = adopt(module, self)
            except IdimError:
                self._adopt = adopt
                raise
            self._unwatch()
        return self.sub

    @property
    def is_copy(self) -> bool:
        """Whether a subspace can still be made."""
        return self._adopt is not None

    def _watch(self, module: nn.Module | None, inside: Iterable[nn.Parameter]) -> None:
        """Wait for the gradients of a copy's parameters, whose hooks no copy has."""
        self._module = None if module is None else weakref.ref(module)
        self._inside = list(inside)
        self._watches = [hook_gradient(p, _Watch(weakref.ref(self))) for p in self._inside]

    def _unwatch(self) -> None:
        for handle in self._watches:
            handle.remove()
        self._watches = []

    @_disable_dynamo
    def before_gradient(self, parameter: nn.Parameter) -> None:
        """Fold the first gradient of a copy that no forward pass of its own has bound."""
        gradient, parameter.grad = parameter.grad, None
        if self._adopt is None:
            raise IdimError(LOST)
        module = None if self._module is None else self._module()
        if module is None:
            raise IdimError("parts of a copied module ran before it: call the module itself first.")
        sub = self.subspace(module)
        if sub is not None and gradient is not None:
            sub.take_first(parameter, gradient)

    @_disable_dynamo  # a compiled module breaks off here, and goes on
    def before_forward(self, module: nn.Module, inputs: Any) -> None:
        """Hold theta = theta_0 + P theta_d for the pass that begins."""
        del inputs
        if getattr(module, "_is_replica", False):
            return
        sub = self.subspace(module)
        if sub is not None:
            sub.before_forward()
        elif module.training and torch.is_grad_enabled():
            raise IdimError(LOST)

    def after_load(self, module: nn.Module, keys: Any) -> None:
        """Check what `load_state_dict` brought."""
        del keys
        sub = self.subspace(module)
        if sub is not None:
            sub.after_load()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        if torch.is_inference_mode_enabled():  # its tensors can be neither trained nor rewritten
            raise IdimError("copy a bound module outside of torch.inference_mode().")
        copy = memo[id(self)] = type(self)(self.place)
        copy._ignored = self._ignored
        copy._adopt = self._adopt if self.sub is None else self.sub.for_copy()
        module = None if self._module is None else memo.get(id(self._module()))
        copy._watch(module, [deepcopy(p, memo) for p in self._inside])
        return copy

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"sub": None, "_adopt": None, "_module": None, "_watches": []}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["place"])
        self._ignored = state["_ignored"]
        self._watch(None, state.get("_inside", []))  # not in what an older version pickled


class _Watch:
    """The hook of a copied parameter; it keeps neither the module nor what binds it alive."""

    def __init__(self, tie: "weakref.ref[Tie]") -> None:
        self._tie = tie

    def __call__(self, parameter: Any) -> None:
        tie = self._tie()
        if tie is not None:
            tie.before_gradient(parameter)

    @property
    def is_bound(self) -> bool:
        tie = self._tie()
        return tie is not None and tie.is_copy


def _is_watched(parameter: Tensor) -> bool:
    hooks = (parameter._post_accumulate_grad_hooks or {}).values()
    return any(isinstance(hook, _Watch) and hook.is_bound for hook in hooks)


def tie_of(module: nn.Module) -> Tie | None:
    """Return what binds a module to a subspace, if anything does."""
    owners = (getattr(hook, "__self__", None) for hook in module._forward_pre_hooks.values())
    return next((owner for owner in owners if isinstance(owner, Tie)), None)


def prepare(module: nn.Module) -> None:
    """Refuse a module that is bound already; clear one that lost its subspace through pickle.

    Raises:
        IdimError: bound, in part or as part of another module, or wrapped by DDP.
    """
    if isinstance(module, DistributedDataParallel):
        raise IdimError(
            "bind the subspace to the module before DistributedDataParallel wraps it: "
            "Subspace(module, ...), then DistributedDataParallel(module)."
        )
    for part in list(module.modules()):
        tie = tie_of(part)
        if tie is not None and tie.subspace(part) is None:
            tie.detach(part)
            plain(part.modules())
        elif tie is not None:
            raise IdimError(
                "the module is bound to a subspace already: merge() that one first "
                "(Subspace.of(module).merge())."
            )
    for name, p in module.named_parameters():
        if is_bound(p) or _is_watched(p):
            raise IdimError(
                f"'{name}' is part of a module that is bound to a subspace: merge() it."
            )


def home(module: nn.Module) -> str:
    """Name the part that theta_d joins: the last that holds parameters under one name only.

    Many programs ask a module's first parameter for the module's dtype, so that theta_d, which is
    float32 in a bfloat16 module, comes last.
    """
    named = list(module.named_modules(remove_duplicate=False))
    times: dict[int, int] = {}
    for _, part in named:
        times[id(part)] = times.get(id(part), 0) + 1
    holders = [
        name
        for name, part in named
        if times[id(part)] == 1 and not isinstance(part, torch.jit.ScriptModule)
        if part._parameters
    ]
    return holders[-1] if holders else ""


class Places:
    """Where a module holds the parameters of its subspace, to see that none was replaced."""

    def __init__(self, module: nn.Module, names: Iterable[str]) -> None:
        steps: dict[tuple[int, str], tuple[dict[str, Any], str, Any, str]] = {}
        for name in names:
            part = module
            *parents, last = name.split(".")
            for child in parents:
                steps[id(part), child] = (part._modules, child, part._modules[child], name)
                part = part.get_submodule(child)
            steps[id(part), last] = (part._parameters, last, part._parameters[last], name)
        self._steps = list(steps.values())

    def replaced(self) -> str | None:
        """Return the name of the first parameter that is no longer the module's."""
        return next((n for held, key, value, n in self._steps if held.get(key) is not value), None)


class Stamps:
    """What tells, without reading them, that tensors were written to since `renew`.

    Writing through `tensor.data` is not seen.
    """

    def __init__(self, tensors: Callable[[], list[Tensor]]) -> None:
        self._tensors = tensors
        self._seen: list[tuple[int, int]] = []

    def renew(self) -> None:
        """Take the tensors as they are."""
        self._seen = self._now()

    def forget(self) -> None:
        """Count all tensors as written to."""
        self._seen = []

    def changed(self) -> list[int]:
        """Return which tensors were written to, moved or given other memory."""
        now = self._now()
        if now == self._seen:
            return []
        if len(now) != len(self._seen):
            return list(range(len(now)))
        return [i for i, (a, b) in enumerate(zip(now, self._seen, strict=True)) if a != b]

    def _now(self) -> list[tuple[int, int]]:
        return [(t._version, t.data_ptr()) for t in self._tensors()]


def _hidden(module: nn.Module, inside: Iterable[nn.Parameter]) -> list[str]:
    """Return names under which DistributedDataParallel finds all but the smallest parameter.

    It refuses a module without parameters; the gradient of the one that it sees is gone when it
    looks, so that it sends a few zeros.
    """
    held = sorted(inside, key=lambda p: p.numel())
    hidden = {id(p) for p in held[1:]}
    names = []
    for path, part in module.named_modules(remove_duplicate=False):
        for name, p in part._parameters.items():
            if p is not None and (id(p) in hidden or name in NAMES):
                full = f"{path}.{name}"  # with its dot at the top, where DDP does not strip it
                names += [full, full.lstrip("."), f"_orig_mod.{full.lstrip('.')}"]
    return names
